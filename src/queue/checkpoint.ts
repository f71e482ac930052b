import type { Transaction } from "../database/database.js";
import { changeHeld, type HeldJob, heldStatement } from "./held-job.js";

/**
 * Keeps a JSON value with a running job for its later attempts.
 * @returns false when the worker has lost the job, and nothing changed.
 */
export async function checkpoint(tx: Transaction, held: HeldJob, value: unknown): Promise<boolean> {
  const kept: HeldJob & { value: unknown } = { ...held, value };
  return (await changeHeld(tx, CHECKPOINT, [kept]))[0] !== null;
}

const CHECKPOINT = heldStatement("queue.checkpoint", "value jsonb", ` checkpoint = coalesce(held.value, 'null')`);
