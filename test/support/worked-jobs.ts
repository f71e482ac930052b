import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import { complete } from "../../src/queue/complete.js";
import { fail } from "../../src/queue/fail.js";
import type { TestApi } from "./api.js";
import { SYSTEM } from "./database.js";

/** Begins the attempt of a queued job whose type no other job has, and ends it as a worker does. */
export async function work(
  { database }: Pick<TestApi, "database">,
  jobType: string,
  end: { output: unknown } | { failure: string },
): Promise<void> {
  const workerId = randomUUID();
  const [job] = await database.transaction(SYSTEM, (tx) => claim(tx, { workerId, jobTypes: [jobType], limit: 1 }));
  if (job === undefined) throw new Error(`there was no ${jobType} to claim`);
  const held = { tenantId: job.tenantId, id: job.id, workerId, attempt: job.attempt };
  await database.transaction(SYSTEM, async (tx) => {
    if ("output" in end) await complete(tx, held, end.output);
    else await fail(tx, held, { code: "broken", message: end.failure, permanent: true, retryDelayMs: 0 });
  });
}
