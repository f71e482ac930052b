import { randomUUID } from "node:crypto";
import { startApi, useApi, useMember, headersFor, type TestApi, tokenOf } from "../support/api.js";
import { asSuperuser, useDatabase } from "../support/database.js";
import { send } from "../support/graphql.js";

/** An operation on both surfaces; `id` is the job that it is about. */
interface Operation {
  name: string;
  method: string;
  path: (id: string) => string;
  body?: unknown;
  query: string;
  /** The status that the job must be in beforehand; null: it needs none. */
  job: "queued" | "canceled" | null;
  /** What is said of another tenant's job. */
  stranger: { status: number; error: string; code: string | undefined } | null;
}

const NOT_FOUND = { status: 404, error: "job_not_found", code: "NOT_FOUND" };
const OPERATIONS: Operation[] = [
  {
    name: "list",
    method: "GET",
    path: () => "/v1/jobs/list",
    query: `{ jobs { nodes { id } } }`,
    job: null,
    stranger: null,
  },
  {
    name: "create",
    method: "POST",
    path: () => "/v1/jobs",
    body: { jobType: "PARITY" },
    query: `mutation { createJob(input: {jobType: "PARITY"}) { job { id status } } }`,
    job: null,
    stranger: null,
  },
  {
    name: "get",
    method: "GET",
    path: (id) => `/v1/jobs/${id}`,
    query: `query ($id: ID!) { job(id: $id) { id } }`,
    job: "queued",
    // GraphQL answers an unknown job with null.
    stranger: { ...NOT_FOUND, code: undefined },
  },
  {
    name: "cancel",
    method: "POST",
    path: (id) => `/v1/jobs/${id}/cancel`,
    query: `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`,
    job: "queued",
    stranger: NOT_FOUND,
  },
  {
    name: "retry",
    method: "POST",
    path: (id) => `/v1/jobs/${id}/retry`,
    query: `mutation ($id: ID!) { retryJob(id: $id) { job { id } } }`,
    job: "canceled",
    stranger: NOT_FOUND,
  },
  {
    name: "delete",
    method: "DELETE",
    path: (id) => `/v1/jobs/${id}`,
    query: `mutation ($id: ID!) { deleteJob(id: $id) { deletedJobId } }`,
    job: "queued",
    stranger: NOT_FOUND,
  },
];

const own = useDatabase();
const api = useApi({}, { on: own });
const limited = useApi({ createLimitPerMinute: 1 }, { on: own });
const owner = useMember(api);
const stranger = useMember(api);

async function jobIn(status: Operation["job"], member = owner): Promise<string> {
  if (status === null) return randomUUID();
  const created = await send(
    api,
    `mutation { createJob(input: {jobType: "PARITY"}) { job { id } } }`,
    {},
    member.headers,
  );
  const { id } = (created.data!["createJob"] as { job: { id: string } }).job;
  if (status === "canceled")
    await send(api, `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`, { id }, member.headers);
  return id;
}

async function rest(operation: Operation, id: string, headers: Record<string, string>, on: TestApi = api) {
  const response = await fetch(on.url + operation.path(id), {
    method: operation.method,
    headers,
    ...(operation.body !== undefined && { body: JSON.stringify(operation.body) }),
  });
  const body = (await response.json()) as Record<string, unknown>;
  return {
    status: response.status,
    error: body["error"],
    ok: body["ok"],
    requestId: body["requestId"],
    headers: response.headers,
  };
}

async function graphql(operation: Operation, id: string, headers: Record<string, string>, on: TestApi = api) {
  const { status, errors, data, headers: answered } = await send(on, operation.query, { id }, headers);
  return {
    status,
    code: errors?.[0]?.extensions["code"],
    requestId: errors?.[0]?.extensions["requestId"],
    data,
    headers: answered,
  };
}

describe.each(OPERATIONS)("$name over REST and GraphQL", (operation) => {
  it("serves a member", async () => {
    expect(await rest(operation, await jobIn(operation.job), owner.headers)).toMatchObject({ status: 200, ok: true });
    const answer = await graphql(operation, await jobIn(operation.job), owner.headers);
    expect(answer).toMatchObject({ status: 200, code: undefined });
    expect(Object.values(answer.data ?? {})).not.toContain(null);
  });

  it("refuses a request without a token", async () => {
    const { authorization: _, ...headers } = owner.headers;
    expect(await rest(operation, await jobIn(operation.job), headers)).toMatchObject({
      status: 401,
      error: "missing_bearer_token",
      requestId: expect.any(String),
    });
    expect(await graphql(operation, await jobIn(operation.job), headers)).toMatchObject({
      status: 401,
      code: "UNAUTHENTICATED",
      requestId: expect.any(String),
    });
  });

  it.each([
    ["is nonsense", "nonsense"],
    ["has expired", () => tokenOf(owner.userId, -60)],
    ["has no UUID as sub", () => tokenOf("somebody")],
  ])("refuses a token that %s", async (_what, token) => {
    const headers = headersFor(typeof token === "string" ? token : token(), owner.tenantId);
    expect(await rest(operation, randomUUID(), headers)).toMatchObject({ status: 401, error: "invalid_token" });
    expect(await graphql(operation, randomUUID(), headers)).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
  });

  it("wants one tenant, a UUID, whose member the user is", async () => {
    const { "x-tenant-id": _, ...none } = owner.headers;
    expect(await rest(operation, randomUUID(), none)).toMatchObject({ status: 400, error: "tenant_required" });
    expect(await graphql(operation, randomUUID(), none)).toMatchObject({ status: 400, code: "TENANT_REQUIRED" });
    for (const tenantId of ["acme", `${owner.tenantId}, ${stranger.tenantId}`]) {
      const headers = { ...owner.headers, "x-tenant-id": tenantId };
      expect(await rest(operation, randomUUID(), headers)).toMatchObject({ status: 400, error: "invalid_tenant_id" });
      expect(await graphql(operation, randomUUID(), headers)).toMatchObject({ status: 400, code: "BAD_USER_INPUT" });
    }
    for (const tenantId of [stranger.tenantId, randomUUID()]) {
      const headers = { ...owner.headers, "x-tenant-id": tenantId };
      expect(await rest(operation, randomUUID(), headers)).toMatchObject({
        status: 403,
        error: "tenant_access_denied",
      });
      expect(await graphql(operation, randomUUID(), headers)).toMatchObject({ status: 403, code: "FORBIDDEN" });
    }
  });

  it("knows nothing of another tenant's jobs", async () => {
    const id = await jobIn(operation.job);
    const [byRest, byGraphql] = [
      await rest(operation, id, stranger.headers),
      await graphql(operation, id, stranger.headers),
    ];
    const { status, error, code } = operation.stranger ?? { status: 200, error: undefined, code: undefined };
    expect(byRest).toMatchObject({ status, error });
    expect(byGraphql).toMatchObject({ status: 200, code });
    expect(JSON.stringify(byGraphql.data ?? null)).not.toContain(id);
  });

  if (operation.job !== null) {
    it("wants a UUID as id", async () => {
      expect(await rest(operation, "42", owner.headers)).toMatchObject({ status: 400, error: "invalid_input" });
      expect(await graphql(operation, "42", owner.headers)).toMatchObject({ status: 200, code: "BAD_USER_INPUT" });
    });
  }
});

describe("creates over REST and GraphQL", () => {
  const create = OPERATIONS[1]!;

  it("draw on one allowance a minute, and say how much is left", async () => {
    const member = await api.member();
    const first = await rest(create, "", member.headers, limited);
    expect([first.status, first.headers.get("ratelimit-remaining")]).toEqual([200, "0"]);
    const byGraphql = await graphql(create, "", member.headers, limited);
    expect(byGraphql).toMatchObject({ status: 200, code: "RATE_LIMITED" });
    const byRest = await rest(create, "", member.headers, limited);
    expect(byRest).toMatchObject({ status: 429, error: "rate_limit_exceeded" });
    for (const { headers } of [byRest, byGraphql]) {
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      expect(headers.get("ratelimit")).toMatch(/^"create";r=0;t=\d+$/);
    }
  });

  it("count against one day, whose limit is never passed under 50 creates at once", async () => {
    const member = await api.member({ seat: "free_beta" });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        n % 2 === 0
          ? rest(create, "", member.headers).then(({ status, error }) => (status === 200 ? "created" : error))
          : graphql(create, "", member.headers).then(({ code }) => (code === undefined ? "created" : code)),
      ),
    );
    expect(answers.filter((answer) => answer === "created")).toHaveLength(10);
    expect(new Set(answers)).toEqual(new Set(["created", "daily_job_limit_exceeded", "DAILY_JOB_LIMIT_EXCEEDED"]));
    const { data } = await send(
      api,
      `{ viewer { seatType dailyJobs { limit used remaining } } jobs { totalCount } }`,
      {},
      member.headers,
    );
    expect(data).toEqual({
      viewer: { seatType: "FREE_BETA", dailyJobs: { limit: 10, used: 10, remaining: 0 } },
      jobs: { totalCount: 10 },
    });
    const refused = await rest(create, "", member.headers);
    expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(86_400);
  });

  it("count ten for ten aliased createJob fields, and createJobs of many as one of the minute and many of the day", async () => {
    const ten = await startApi({ createLimitPerMinute: 12 }, own);
    const member = await api.member({ seat: "starter" });
    const aliased = Array.from({ length: 10 }, (_, n) => `a${n}: createJob(input: {jobType: "A"}) { job { id } }`).join(
      " ",
    );
    const first = await send(ten, `mutation { ${aliased} }`, {}, member.headers);
    expect([first.errors, first.headers.get("ratelimit-remaining")]).toEqual([undefined, "2"]);
    const input = Array.from({ length: 20 }, () => ({ jobType: "B" }));
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
    const second = await send(ten, many, { input }, member.headers);
    expect([second.errors, second.headers.get("ratelimit-remaining")]).toEqual([undefined, "1"]);
    const tooMany = await send(ten, many, { input: [...input, { jobType: "C" }] }, member.headers);
    expect(tooMany.errors?.[0]?.extensions["code"]).toBe("DAILY_JOB_LIMIT_EXCEEDED");
    const { data } = await send(ten, `{ viewer { dailyJobs { used } } jobs { totalCount } }`, {}, member.headers);
    expect(data).toEqual({ viewer: { dailyJobs: { used: 30 } }, jobs: { totalCount: 30 } });
  });

  it("lets a viewer read, and change nothing", async () => {
    const viewer = await api.member({ role: "viewer" });
    expect(await rest(OPERATIONS[0]!, "", viewer.headers)).toMatchObject({ status: 200 });
    expect(await rest(create, "", viewer.headers)).toMatchObject({ status: 403, error: "tenant_access_denied" });
    expect(await graphql(create, "", viewer.headers)).toMatchObject({ status: 200, code: "FORBIDDEN" });
  });
});

describe("transitions over REST and GraphQL", () => {
  it.each([
    ["retry of a queued job", "retry", "retryJob", "queued", 409, "invalid_transition", "INVALID_TRANSITION"],
    ["cancel of a canceled job", "cancel", "cancelJob", "canceled", 409, "invalid_transition", "INVALID_TRANSITION"],
  ] as const)("refuse the %s", async (_what, action, field, status, http, error, code) => {
    const id = await jobIn(status);
    const response = await fetch(`${api.url}/v1/jobs/${id}/${action}`, { method: "POST", headers: owner.headers });
    expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([http, error]);
    const { errors } = await send(
      api,
      `mutation ($id: ID!) { ${field}(id: $id) { job { id } } }`,
      { id },
      owner.headers,
    );
    expect(errors?.[0]?.extensions["code"]).toBe(code);
  });

  it("refuse to delete a running job", async () => {
    const id = await jobIn("queued");
    await asSuperuser(
      `update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where id = '${id}'`,
      api.own.superuserUrl,
    );
    const remove = OPERATIONS.find(({ name }) => name === "delete")!;
    expect(await rest(remove, id, owner.headers)).toMatchObject({ status: 409, error: "job_running" });
    expect(await graphql(remove, id, owner.headers)).toMatchObject({ status: 200, code: "JOB_RUNNING" });
  });
});
