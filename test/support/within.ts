import { setTimeout as sleep } from "node:timers/promises";

/** Waits for `work`. @throws when it takes longer than the bound. */
export async function within<T>(boundMs: number, work: Promise<T>, what: string): Promise<T> {
  const over = new AbortController();
  const late = sleep(boundMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what} did not come within ${boundMs} ms`);
  });
  // Aborted once the work is done.
  late.catch(() => undefined);
  return Promise.race([work, late]).finally(() => over.abort());
}
