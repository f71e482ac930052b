import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";
import { changeHeld, type HeldJob, heldStatement, type HeldStatement } from "./held-job.js";

export interface Failure {
  /** Machine-readable, `snake_case`. */
  code: string;
  message: string;
  /** Where the handler failed, for the attempt; left out: nowhere. */
  stack?: string | undefined;
  /** Another attempt cannot succeed. */
  permanent: boolean;
  /** The attempt does not count: the job is allowed one more. Default: false. */
  spared?: boolean;
  /** Until the next attempt, if there is one. */
  retryDelayMs: number;
}

/**
 * Ends attempts badly: a job goes back to `queued` for its next attempt, or to `failed` after the last one or a
 * permanent failure, or to `canceled` if that was asked for.
 * @param locked as for `changeHeld`.
 * @returns in the order given the statuses reached; null where the worker has lost the job, and nothing changed.
 */
export async function fail(
  tx: Transaction,
  jobs: readonly (HeldJob & Failure)[],
  locked?: keyof HeldStatement,
): Promise<(JobStatus | null)[]> {
  return changeHeld(tx, FAIL, jobs, locked);
}

// As on a release, max_attempts grows for an attempt that is spared.
const ATTEMPTS = "max_attempts + coalesce(held.spared, false)::int";
const FAIL = heldStatement(
  "queue.fail",
  `code text, message text, stack text, permanent boolean, spared boolean, "retryDelayMs" int`,
  `
  max_attempts = ${ATTEMPTS},
  status = case
    when cancel_requested_at is not null then 'canceled'
    when held.permanent or jobs.attempt >= ${ATTEMPTS} then 'failed'
    else 'queued'
  end,
  error = case
    when cancel_requested_at is not null then error
    else jsonb_strip_nulls(jsonb_build_object(
      'code', held.code, 'message', held.message, 'attempt', jobs.attempt, 'occurredAt', clock_timestamp(),
      'stack', held.stack
    ))
  end,
  run_at = case
    when cancel_requested_at is not null or held.permanent or jobs.attempt >= ${ATTEMPTS} then run_at
    else clock_timestamp() + held."retryDelayMs" * interval '1 millisecond'
  end`,
);
