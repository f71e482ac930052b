import type { Transaction } from "../database/database.js";
import { FENCE, fence, type HeldJob } from "./held-job.js";

/**
 * Keeps a JSON value with a running job for its later attempts.
 * @returns false when the worker has lost the job, and nothing changed.
 */
export async function checkpoint(tx: Transaction, held: HeldJob, value: unknown): Promise<boolean> {
  return (await tx.query(CHECKPOINT, [...fence(held), JSON.stringify(value)])).length > 0;
}

const CHECKPOINT = `/* queue.checkpoint */
update jobs set checkpoint = $5::jsonb where ${FENCE} returning id`;
