import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import type { TestApi } from "./api.js";
import { SYSTEM } from "./database.js";
import { complete, fail } from "./transitions.js";

/** Begins the attempt of a queued job whose type no other job has, and ends it as a worker does. */
export async function work(
  { database }: Pick<TestApi, "database">,
  jobType: string,
  end: { output: unknown } | { failure: string },
): Promise<void> {
  const workerId = randomUUID();
  const request = { workerId, jobTypes: [jobType], limit: 1 };
  const [job] = (await database.transaction(SYSTEM, (tx) => claim(tx, request))).jobs;
  if (job === undefined) throw new Error(`there was no ${jobType} to claim`);
  const held = { tenantId: job.tenantId, id: job.id, workerId, attempt: job.attempt };
  await database.transaction(SYSTEM, async (tx) => {
    if ("output" in end) await complete(tx, held, end.output);
    else await fail(tx, held, { code: "broken", message: end.failure, permanent: true, retryDelayMs: 0 });
  });
}
