import type { Transaction } from "../database/database.js";
import { FENCE, fence, type HeldJob } from "./held-job.js";
import type { JobStatus } from "../words.js";

/**
 * Hands a running job back, as a worker does that is shutting down: it is `queued` at once, and the attempt that was
 * cut short is not held against it.
 * @returns the status reached (`canceled` if that was asked for); null when the worker has lost the job.
 */
export async function release(tx: Transaction, held: HeldJob): Promise<JobStatus | null> {
  const [row] = await tx.query<{ status: JobStatus }>(RELEASE, fence(held));
  return row?.status ?? null;
}

// max_attempts grows, since attempt must not shrink: the fence of a worker that was taken for dead would match again.
const RELEASE = `/* queue.release */
update jobs set
  status = case when cancel_requested_at is null then 'queued' else 'canceled' end,
  max_attempts = max_attempts + 1,
  run_at = clock_timestamp()
where ${FENCE}
returning status`;
