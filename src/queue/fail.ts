import type { Transaction } from "../database/database.js";
import { FENCE, fence, type HeldJob } from "./held-job.js";
import type { JobStatus } from "../words.js";

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
 * Ends an attempt badly: the job goes back to `queued` for its next attempt, or to `failed` after the last one or a
 * permanent failure, or to `canceled` if that was asked for.
 * @returns the status reached; null when the worker has lost the job, and nothing changed.
 */
export async function fail(tx: Transaction, held: HeldJob, failure: Failure): Promise<JobStatus | null> {
  const [row] = await tx.query<{ status: JobStatus }>(FAIL, [
    ...fence(held),
    failure.code,
    failure.message,
    failure.permanent,
    failure.retryDelayMs,
    failure.spared ?? false,
    failure.stack ?? null,
  ]);
  return row?.status ?? null;
}

// As on a release, max_attempts grows for an attempt that is spared.
const FAIL = `/* queue.fail */
update jobs set
  max_attempts = max_attempts + $9::boolean::int,
  status = case
    when cancel_requested_at is not null then 'canceled'
    when $7::boolean or attempt >= max_attempts + $9::boolean::int then 'failed'
    else 'queued'
  end,
  error = case
    when cancel_requested_at is not null then error
    else jsonb_strip_nulls(jsonb_build_object(
      'code', $5::text, 'message', $6::text, 'attempt', attempt, 'occurredAt', clock_timestamp(), 'stack', $10::text
    ))
  end,
  run_at = case
    when cancel_requested_at is not null or $7::boolean or attempt >= max_attempts + $9::boolean::int then run_at
    else clock_timestamp() + $8::int * interval '1 millisecond'
  end
where ${FENCE}
returning status`;
