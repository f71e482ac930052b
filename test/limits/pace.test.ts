import { Pace } from "../../src/limits/pace.js";
import { LARGE_JSON } from "../../src/limits/policies.js";

const MIB = 1024 * 1024;

/** How long a turn of this key takes, in milliseconds. */
async function waitOf(pace: Pace, key: string): Promise<number> {
  const begunAt = performance.now();
  await pace.turn(key);
  return performance.now() - begunAt;
}

it("lets what is small through at any rate", async () => {
  const pace = new Pace(LARGE_JSON);
  for (let n = 0; n < 1_000; n++) pace.spend("a", MIB);
  // All of it together would be as long as can be.
  expect(await waitOf(pace, "a")).toBeLessThan(1_000);
});

it("has whoever sends much wait in proportion, and nobody else", async () => {
  const pace = new Pace(LARGE_JSON);
  pace.spend("a", 4 * MIB);
  const order: string[] = [];
  const waits = await Promise.all(
    ["a", "b"].map(async (key) => {
      const ms = await waitOf(pace, key);
      order.push(key);
      return ms;
    }),
  );
  expect(order).toEqual(["b", "a"]);
  expect(waits[0]).toBeGreaterThan(450);
});

it("adds up what was sent at once", async () => {
  const pace = new Pace(LARGE_JSON);
  for (let n = 0; n < 2; n++) pace.spend("a", 4 * MIB);
  expect(await waitOf(pace, "a")).toBeGreaterThan(900);
});

it("holds nobody for longer than a little, however much was sent at once", async () => {
  const pace = new Pace(LARGE_JSON);
  for (let n = 0; n < 100; n++) pace.spend("a", 8 * MIB);
  const ms = await waitOf(pace, "a");
  expect(ms).toBeGreaterThan(1_900);
  // Two seconds; without the bound it would be a hundred.
  expect(ms).toBeLessThan(20_000);
});

it("lets a little be spent ahead of time, where it may", async () => {
  const pace = new Pace({ bytesPerSecond: MIB, aheadBytes: MIB, maxDebtMs: 60_000 });
  pace.spend("a", MIB);
  expect(await waitOf(pace, "a")).toBeLessThan(400);
  pace.spend("a", MIB);
  expect(pace.waitMs("a")).toBeGreaterThan(400);
  expect(pace.waitMs("b")).toBe(0);
});

it("has whoever has waited wait no more", async () => {
  const pace = new Pace(LARGE_JSON);
  pace.spend("a", 2 * MIB);
  expect(await waitOf(pace, "a")).toBeGreaterThan(200);
  pace.spend("a", 1);
  // A timer may be a millisecond early.
  expect(pace.waitMs("a")).toBeLessThan(50);
});
