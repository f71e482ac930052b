import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";
import { endHeld, FENCE, HELD, type HeldJob } from "./held-job.js";

/**
 * Hands running jobs back, as a worker does that is shutting down: they are `queued` at once, and the attempts that were
 * cut short are not held against them.
 * @returns in the order given the statuses reached (`canceled` if that was asked for); null where the worker has lost the job.
 */
export async function release(tx: Transaction, jobs: readonly HeldJob[]): Promise<(JobStatus | null)[]> {
  return endHeld(tx, RELEASE, jobs);
}

// max_attempts grows, since attempt must not shrink: the fence of a worker that was taken for dead would match again.
const RELEASE = `/* queue.release */
update jobs set
  status = case when cancel_requested_at is null then 'queued' else 'canceled' end,
  max_attempts = max_attempts + 1,
  run_at = clock_timestamp()
from jsonb_to_recordset($1::jsonb) as held (${HELD})
where ${FENCE}
returning jobs.id, jobs.attempt, jobs.status`;
