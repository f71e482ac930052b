import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";
import { changeHeld, type HeldJob, heldStatement, type HeldStatement } from "./held-job.js";

/**
 * Hands running jobs back, as a worker does that is shutting down: they are `queued` at once, and the attempts that were
 * cut short are not held against them.
 * @param locked as for `changeHeld`.
 * @returns in the order given the statuses reached (`canceled` if that was asked for); null where the worker has lost the job.
 */
export async function release(
  tx: Transaction,
  jobs: readonly HeldJob[],
  locked?: keyof HeldStatement,
): Promise<(JobStatus | null)[]> {
  return changeHeld(tx, RELEASE, jobs, locked);
}

// max_attempts grows, since attempt must not shrink: the fence of a worker that was taken for dead would match again.
const RELEASE = heldStatement(
  "queue.release",
  "",
  `
  status = case when cancel_requested_at is null then 'queued' else 'canceled' end,
  max_attempts = max_attempts + 1,
  run_at = clock_timestamp()`,
);
