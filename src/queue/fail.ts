import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";
import { endHeld, FENCE, HELD, type HeldJob } from "./held-job.js";

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
 * @returns in the order given the statuses reached; null where the worker has lost the job, and nothing changed.
 */
export async function fail(tx: Transaction, jobs: readonly (HeldJob & Failure)[]): Promise<(JobStatus | null)[]> {
  return endHeld(tx, FAIL, jobs);
}

// As on a release, max_attempts grows for an attempt that is spared.
const FAIL = `/* queue.fail */
update jobs set
  max_attempts = max_attempts + held.extra,
  status = case
    when cancel_requested_at is not null then 'canceled'
    when held.permanent or jobs.attempt >= max_attempts + held.extra then 'failed'
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
    when cancel_requested_at is not null or held.permanent or jobs.attempt >= max_attempts + held.extra then run_at
    else clock_timestamp() + held."retryDelayMs" * interval '1 millisecond'
  end
from (
  select given.*, coalesce(spared, false)::int as extra
  from jsonb_to_recordset($1::jsonb) as given (
    ${HELD}, code text, message text, stack text, permanent boolean, spared boolean, "retryDelayMs" int
  )
) held
where ${FENCE}
returning jobs.id, jobs.attempt, jobs.status`;
