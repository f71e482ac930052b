import type { Transaction } from "../database/database.js";
import { FENCE, fence, type HeldJob } from "./held-job.js";
import type { JobStatus } from "../words.js";

/**
 * Ends an attempt well, with the handler's output (a JSON value). A job whose cancellation was asked for meanwhile ends
 * `canceled`, without an output.
 * @returns the status reached; null when the worker has lost the job, and nothing changed.
 */
export async function complete(tx: Transaction, held: HeldJob, output: unknown): Promise<JobStatus | null> {
  const [row] = await tx.query<{ status: JobStatus }>(COMPLETE, [...fence(held), JSON.stringify(output ?? null)]);
  return row?.status ?? null;
}

const COMPLETE = `/* queue.complete */
update jobs set
  status = case when cancel_requested_at is null then 'completed' else 'canceled' end,
  output = case when cancel_requested_at is null then $5::jsonb end,
  error = case when cancel_requested_at is null then null else error end
where ${FENCE}
returning status`;
