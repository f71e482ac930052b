import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";
import { changeHeld, type HeldJob, heldStatement, type HeldStatement } from "./held-job.js";

/** An attempt that has ended well, with the handler's output (a JSON value). */
export interface Completion extends HeldJob {
  output: unknown;
}

/**
 * Ends attempts well. A job whose cancellation was asked for meanwhile ends `canceled`, without an output.
 * @param locked as for `changeHeld`.
 * @returns in the order given the statuses reached; null where the worker has lost the job, and nothing changed.
 */
export async function complete(
  tx: Transaction,
  jobs: readonly Completion[],
  locked?: keyof HeldStatement,
): Promise<(JobStatus | null)[]> {
  return changeHeld(tx, COMPLETE, jobs, locked);
}

const COMPLETE = heldStatement(
  "queue.complete",
  "output jsonb",
  `
  status = case when cancel_requested_at is null then 'completed' else 'canceled' end,
  output = case when cancel_requested_at is null then coalesce(held.output, 'null') end,
  error = case when cancel_requested_at is null then null else error end`,
);
