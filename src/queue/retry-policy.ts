const FIRST_DELAY_MS = 10_000;
const MAX_DELAY_MS = 3_600_000;
const JITTER = 0.1;

/**
 * How long a failed attempt waits for the next one: 10 s · 2^(attempt − 1), at most 1 h, ± 10 % so that jobs which
 * failed together do not come back together.
 * @param attempt the attempt that failed, from 1.
 * @param random 0 to 1; for tests.
 */
export function retryDelayMs(attempt: number, random: number = Math.random()): number {
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);
  return Math.min(Math.round(delayMs * (1 + JITTER * (2 * random - 1))), MAX_DELAY_MS);
}
