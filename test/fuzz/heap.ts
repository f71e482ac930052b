import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const MEBIBYTE = 1024 * 1024;
/** What a heap may have grown by after as many rounds again as it was warmed up with. */
const GROWTH_BYTES = 2 * MEBIBYTE;

/** Checks that doing something again and again keeps nothing: the heap after many rounds is that of half as many. */
export async function expectNoGrowth(rounds: number, round: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < rounds; n += 1) await round();
  const warm = await heldBytes();
  for (let n = 0; n < rounds; n += 1) await round();
  expect((await heldBytes()) - warm).toBeLessThan(GROWTH_BYTES);
}

/** What is in use once garbage is collected. */
export async function heldBytes(): Promise<number> {
  setFlagsFromString("--expose_gc");
  const gc = runInNewContext("gc") as () => void;
  // What is finalised in one turn is free in the next.
  for (let turn = 0; turn < 5; turn += 1) {
    await nextTurn();
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
