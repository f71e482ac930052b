const DEFAULT_FIRST_MS = 10_000;
const DEFAULT_MAX_MS = 3_600_000;
const JITTER = 0.1;

/**
 * Retries of a job whose worker has no handler for its type, until another worker has: after 10 s, 20 s … 10 min, for about a
 * day. Then it fails: the type may be a typing error.
 */
export const HANDED_BACK = { backoff: { firstMs: 10_000, maxMs: 600_000 }, maxAttempts: 150 } as const;

/** What decides how long a failed attempt waits for the next one. */
export interface RetryWait {
  /** The attempt that failed, from 1. */
  attempt: number;
  /** The job type's own; null: 10 s, and at most 1 h. */
  backoff: { readonly firstMs: number; readonly maxMs: number } | null;
  /** What the failure asked for, at least; null: nothing. */
  retryAfterMs: number | null;
}

/**
 * How long a failed attempt waits for the next one: `firstMs` · 2^(attempt − 1), at most `maxMs`, ± 10 %; or as long as the
 * failure asked for where that is longer, + 0–10 %. Jobs which failed together do not come back together.
 * @param random 0 to 1; for tests.
 */
export function retryDelayMs({ attempt, backoff, retryAfterMs }: RetryWait, random: number = Math.random()): number {
  const { firstMs, maxMs } = backoff ?? { firstMs: DEFAULT_FIRST_MS, maxMs: DEFAULT_MAX_MS };
  const delayMs = Math.min(firstMs * 2 ** (attempt - 1), maxMs);
  const backoffMs = Math.min(Math.round(delayMs * (1 + JITTER * (2 * random - 1))), maxMs);
  return Math.max(backoffMs, Math.round((retryAfterMs ?? 0) * (1 + JITTER * random)));
}
