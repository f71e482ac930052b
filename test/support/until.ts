import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `probe` gives something other than false, null or undefined, and returns it. */
export async function until<T>(
  probe: () => T | Promise<T>,
  { boundMs = 15_000, what = "the condition" } = {},
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + boundMs; ; await sleep(10)) {
    const found = await probe();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    if (Date.now() > end) throw new Error(`${what} did not come about within ${boundMs} ms`);
  }
}
