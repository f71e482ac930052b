import type { Transaction } from "../database/database.js";
import { endHeld, FENCE, HELD, type HeldJob } from "./held-job.js";

/**
 * Keeps a JSON value with a running job for its later attempts.
 * @returns false when the worker has lost the job, and nothing changed.
 */
export async function checkpoint(tx: Transaction, held: HeldJob, value: unknown): Promise<boolean> {
  const kept: HeldJob & { value: unknown } = { ...held, value };
  return (await endHeld(tx, CHECKPOINT, [kept]))[0] !== null;
}

const CHECKPOINT = `/* queue.checkpoint */
update jobs set checkpoint = coalesce(held.value, 'null')
from jsonb_to_recordset($1::jsonb) as held (${HELD}, value jsonb)
where ${FENCE}
returning jobs.id, jobs.attempt, jobs.status`;
