import type fc from "fast-check";

/** Names the inputs of a run; a failure prints it, with the path to the input at fault. */
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** Inputs for each property; those whose inputs are dear take a part of them. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200);
/** Leaves the test time to print what it has found while it still makes that smaller. */
const LIMIT_MS = 60_000;

/** The same inputs each time, unless `FUZZ_SEED` and `FUZZ_RUNS` ask for others. */
export function runs(share = 1): fc.Parameters<unknown> {
  return { seed: SEED, numRuns: Math.ceil(RUNS * share), interruptAfterTimeLimit: LIMIT_MS };
}
