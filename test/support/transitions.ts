import type { Transaction } from "../../src/database/database.js";
import { complete as completeAll } from "../../src/queue/complete.js";
import { fail as failAll, type Failure } from "../../src/queue/fail.js";
import type { HeldJob } from "../../src/queue/held-job.js";
import { release as releaseAll } from "../../src/queue/release.js";
import type { JobStatus } from "../../src/words.js";

/** Ends one attempt well. @returns the status reached, or null. */
export async function complete(tx: Transaction, held: HeldJob, output: unknown): Promise<JobStatus | null> {
  return (await completeAll(tx, [{ ...held, output }]))[0] ?? null;
}

/** Ends one attempt badly. @returns the status reached, or null. */
export async function fail(tx: Transaction, held: HeldJob, failure: Failure): Promise<JobStatus | null> {
  return (await failAll(tx, [{ ...held, ...failure }]))[0] ?? null;
}

/** Hands one job back. @returns the status reached, or null. */
export async function release(tx: Transaction, held: HeldJob): Promise<JobStatus | null> {
  return (await releaseAll(tx, [held]))[0] ?? null;
}
