import { setTimeout as sleep } from "node:timers/promises";

/** From one probe to the next. A probe is often a request, and a hundred requests a second keep half a core busy. */
const MIN_PAUSE_MS = 10;
const MAX_PAUSE_MS = 100;
/** Of what has been waited already: so a wait is at most so much longer than it must be. */
const PAUSE_SHARE = 0.1;

/** Waits until `probe` gives something other than false, null or undefined, and returns it. */
export async function until<T>(
  probe: () => T | Promise<T>,
  { boundMs = 15_000, what = "the condition" } = {},
): Promise<Exclude<T, false | null | undefined>> {
  for (const begunAt = Date.now(); ;) {
    const found = await probe();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    const waitedMs = Date.now() - begunAt;
    if (waitedMs > boundMs) throw new Error(`${what} did not come about within ${boundMs} ms`);
    await sleep(Math.min(Math.max(waitedMs * PAUSE_SHARE, MIN_PAUSE_MS), MAX_PAUSE_MS));
  }
}
