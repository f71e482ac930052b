import { pino } from "pino";
import { useApi, useMember } from "../support/api.js";
import { ask, send } from "../support/graphql.js";

type Line = Record<string, unknown>;
const lines: Line[] = [];
const log = pino({ level: "error" }, { write: (line) => void lines.push(JSON.parse(line) as Line) });
const api = useApi({}, { log });
const member = useMember(api);
beforeEach(() => lines.splice(0));

const audit = () => lines.filter((line) => line["audit"] === true);

describe("the audit", () => {
  it("has a line for each change, over REST and GraphQL, whatever the log level: who, what, which job, which tenant", async () => {
    const { userId, tenantId, headers } = member;
    const rest = async (method: string, path: string, body?: unknown) => {
      const init = { method, headers: { ...headers, "x-request-id": `r-${method}` } };
      const response = await fetch(api.url + path, { ...init, ...(body !== undefined && { body: JSON.stringify(body) }) });
      return (await response.json()) as { id: string };
    }; // prettier-ignore
    const { id } = await rest("POST", "/v1/jobs", { jobType: "A", input: { secret: "s" } });
    await ask(api, member, `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`, { id });
    await ask(api, member, `mutation ($id: ID!) { retryJob(id: $id) { job { id } } }`, { id });
    await rest("DELETE", `/v1/jobs/${id}`);
    const who = { userId, tenantId, jobIds: [id], msg: "audit", level: 30 };
    expect(audit()).toMatchObject([
      { ...who, action: "job.create", requestId: "r-POST" },
      { ...who, action: "job.cancel", requestId: expect.any(String) },
      { ...who, action: "job.retry", requestId: expect.any(String) },
      { ...who, action: "job.delete", requestId: "r-DELETE" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  it("has no line for what was refused, sent again, or only read", async () => {
    const create = `mutation { createJob(input: {jobType: "A", idempotencyKey: "k"}) { job { id } } }`;
    await ask(api, member, create);
    await ask(api, member, create);
    expect(audit()).toHaveLength(1);
    await send(api, `mutation { createJob(input: {jobType: ""}) { job { id } } }`, {}, member.headers);
    await send(api, `mutation { deleteJob(id: "${member.tenantId}") { deletedJobId } }`, {}, member.headers);
    await ask(api, member, "{ jobs { totalCount } }");
    expect(audit()).toHaveLength(1);
  });

  it("names many jobs in lines of a hundred", async () => {
    const input = Array.from({ length: 250 }, () => ({ jobType: "A" }));
    const { jobs } = await ask<{ jobs: { id: string }[] }>(
      api,
      member,
      `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`,
      { input },
    );
    expect(audit().map((line) => (line["jobIds"] as string[]).length)).toEqual([100, 100, 50]);
    expect(audit().flatMap((line) => line["jobIds"])).toEqual(jobs.map(({ id }) => id));
  });
});
