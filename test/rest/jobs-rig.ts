import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import type { Job } from "../../src/queue/job.js";
import { useApi, useMember } from "../support/api.js";
import { SYSTEM } from "../support/database.js";
import { type Answer, call } from "./call.js";
import { complete, fail } from "../support/transitions.js";

export const api = useApi();
export const member = useMember(api, { per: "test" });

export const get = (path: string, headers = member.headers): Promise<Answer> => call(api, "GET", path, headers);
export const post = (path: string, body?: unknown): Promise<Answer> => call(api, "POST", path, member.headers, body);

/** Creates a job. @returns its id */
export async function create(body: Record<string, unknown> = {}): Promise<string> {
  const created = await post("/v1/jobs", { jobType: "TEST", ...body });
  expect(created.status).toBe(200);
  return created.body.id ?? "";
}

/** Creates a job and begins its attempt, as a worker does. */
export async function run(body: Record<string, unknown> = {}): Promise<Job> {
  const jobType = randomUUID();
  await create({ ...body, jobType });
  const {
    jobs: [job],
  } = await api.database.transaction(SYSTEM, (tx) =>
    claim(tx, { workerId: randomUUID(), jobTypes: [jobType], limit: 1 }),
  );
  if (job === undefined) throw new Error("there was no job to claim");
  return job;
}

/** A job whose attempt has completed. */
export async function completed(output: unknown): Promise<Job> {
  const job = await run();
  await api.database.transaction(SYSTEM, (tx) => complete(tx, held(job), output));
  return job;
}

/** A job whose attempt has failed: for good, or to be retried in an hour. */
export async function failed(permanent = true): Promise<Job> {
  const job = await run();
  const failure = { code: "smtp_refused", message: "No such mailbox", permanent, retryDelayMs: 3_600_000 };
  await api.database.transaction(SYSTEM, (tx) => fail(tx, held(job), failure));
  return job;
}

function held({ tenantId, id, workerId, attempt }: Job) {
  return { tenantId, id, workerId: workerId ?? "", attempt };
}

/** An instant as the API writes it. */
export const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
