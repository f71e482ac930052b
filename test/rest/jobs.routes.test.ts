import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import { complete } from "../../src/queue/complete.js";
import { fail } from "../../src/queue/fail.js";
import type { Job } from "../../src/queue/job.js";
import { headersFor, startApi, useApi, useMember } from "../support/api.js";
import { SYSTEM } from "../support/database.js";
import { type Answer, call, expectError } from "./call.js";

const api = useApi();
const member = useMember(api, { per: "test" });

const get = (path: string, headers = member.headers): Promise<Answer> => call(api, "GET", path, headers);
const post = (path: string, body?: unknown): Promise<Answer> => call(api, "POST", path, member.headers, body);

async function create(body: Record<string, unknown> = {}): Promise<string> {
  const created = await post("/v1/jobs", { jobType: "TEST", ...body });
  expect(created.status).toBe(200);
  return created.body.id ?? "";
}

/** Creates a job and begins its attempt, as a worker does. */
async function run(body: Record<string, unknown> = {}): Promise<Job> {
  const jobType = randomUUID();
  await create({ ...body, jobType });
  const [job] = await api.database.transaction(SYSTEM, (tx) =>
    claim(tx, { workerId: randomUUID(), jobTypes: [jobType], limit: 1 }),
  );
  if (job === undefined) throw new Error("there was no job to claim");
  return job;
}

async function completed(output: unknown): Promise<Job> {
  const job = await run();
  await api.database.transaction(SYSTEM, (tx) => complete(tx, held(job), output));
  return job;
}

async function failed(permanent = true): Promise<Job> {
  const job = await run();
  const failure = { code: "smtp_refused", message: "No such mailbox", permanent, retryDelayMs: 3_600_000 };
  await api.database.transaction(SYSTEM, (tx) => fail(tx, held(job), failure));
  return job;
}

function held({ tenantId, id, workerId, attempt }: Job) {
  return { tenantId, id, workerId: workerId ?? "", attempt };
}

const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

describe("POST /v1/jobs", () => {
  it.each([
    ["the source's mail", { jobType: "EMAIL_SEND", input: { to: "test@example.com" } }],
    ["the source's engine run", { jobType: "ENGINE_RUN", priority: 5, input: { workflowId: "WF-001" } }],
    ["a job type alone", { jobType: "EMAIL_SEND" }],
    ["the other spelling", { job_type: "EMAIL_SEND" }],
    ["both spellings that agree", { jobType: "EMAIL_SEND", job_type: "EMAIL_SEND" }],
    [
      "nulls, which count as absent",
      { jobType: "EMAIL_SEND", job_type: null, priority: null, input: null, runAt: null },
    ],
    ["fields it does not know", { jobType: "EMAIL_SEND", colour: "red" }],
  ])("takes %s and answers its id and status", async (_what, body) => {
    const { status, body: answer } = await post("/v1/jobs", body);
    expect(status).toBe(200);
    expect(answer).toEqual({ ok: true, id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string, status: "queued" });
  });

  it("gives priority 0 and an empty input to a job without", async () => {
    const id = await create();
    expect((await get(`/v1/jobs/${id}`)).body.job).toMatchObject({ priority: 0, input: {} });
  });

  it("takes any JSON media type", async () => {
    for (const type of ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.atlas+json"]) {
      const answer = await call(api, "POST", "/v1/jobs", { ...member.headers, "content-type": type }, { jobType: "A" });
      expect(answer.status).toBe(200);
    }
  });

  it("keeps an input as it was sent, whatever its keys", async () => {
    const input = '{"__proto__":{"admin":true},"constructor":1,"":[null,"Grüße 😀",-0.5,1e21],"toJSON":"x"}';
    const { body } = await post("/v1/jobs", `{"jobType":"TEST","input":${input}}`);
    const job = (await get(`/v1/jobs/${body.id}`)).body.job;
    expect(job?.input).toEqual(JSON.parse(input));
    expect(Object.hasOwn(job?.input ?? {}, "__proto__")).toBe(true);
  });
});

describe("GET /v1/jobs/list", () => {
  it("answers these fields and no others", async () => {
    const id = await create({ priority: 7, input: { to: "a@example.com" } });
    const { status, body } = await get("/v1/jobs/list");
    expect(status).toBe(200);
    expect(body).toEqual({
      ok: true,
      org_id: member.tenantId,
      user_id: null,
      items: [
        {
          id,
          jobType: "TEST",
          status: "queued",
          priority: 7,
          input: { to: "a@example.com" },
          output: null,
          error: null,
          startedAt: null,
          finishedAt: null,
          createdAt: instant,
          updatedAt: instant,
        },
      ],
      ts: instant,
    });
  });

  it("shows a completed job's output and instants", async () => {
    const { id } = await completed({ sent: 1 });
    expect((await get("/v1/jobs/list")).body.items).toEqual([
      expect.objectContaining({
        id,
        status: "completed",
        output: { sent: 1 },
        error: null,
        startedAt: instant,
        finishedAt: instant,
      }),
    ]);
  });

  it("shows why a job failed, also while it is retried", async () => {
    const error = { code: "smtp_refused", message: "No such mailbox", attempt: 1, occurredAt: instant };
    const dead = await failed();
    const retried = await failed(false);
    const { items = [] } = (await get("/v1/jobs/list")).body;
    expect(items.find(({ id }) => id === dead.id)).toMatchObject({ status: "failed", error, finishedAt: instant });
    expect(items.find(({ id }) => id === retried.id)).toMatchObject({ status: "queued", error, finishedAt: null });
  });

  it("orders by priority, then by newest", async () => {
    const ids: string[] = [];
    for (const priority of [0, 5, -3, 5, 0]) ids.push(await create({ priority }));
    const order = (await get("/v1/jobs/list")).body.items?.map(({ id }) => ids.indexOf(id));
    expect(order).toEqual([3, 1, 4, 0, 2]);
  });

  it("answers 200 jobs at most, the foremost", async () => {
    const viewer = { ...member, role: "member", seatType: "enterprise", expiresAt: new Date() } as const;
    const creates = Array.from({ length: 201 }, (_, priority) => ({ jobType: "TEST", priority }));
    await api.jobCommands.createMany(viewer, creates, [], () => undefined);
    const { items = [] } = (await get("/v1/jobs/list")).body;
    expect(items.map(({ priority }) => priority)).toEqual(Array.from({ length: 200 }, (_, index) => 200 - index));
  });

  it.each(["org_id", "orgId"])("takes the tenant from %s when the header is missing", async (name) => {
    const id = await create();
    const { authorization } = member.headers as { authorization: string };
    const byQuery = await get(`/v1/jobs/list?${name}=${member.tenantId.toUpperCase()}`, { authorization });
    expect(byQuery.body).toMatchObject({ org_id: member.tenantId, items: [{ id }] });
    const blank = await get(`/v1/jobs/list?${name}=${member.tenantId}`, { authorization, "x-tenant-id": "" });
    expect(blank.body.org_id).toBe(member.tenantId);
  });

  it("lets the header win over the query", async () => {
    const { status, body } = await get(`/v1/jobs/list?org_id=${randomUUID()}&orgId=nonsense`);
    expect({ status, org: body.org_id }).toEqual({ status: 200, org: member.tenantId });
  });

  it("refuses a query that names several tenants, or what is none", async () => {
    const { authorization } = member.headers as { authorization: string };
    for (const query of [
      `org_id=${member.tenantId}&orgId=${randomUUID()}`,
      `org_id=${member.tenantId}&org_id=${randomUUID()}`,
      `org_id=${member.tenantId},${randomUUID()}`,
      "org_id=42",
      "orgId=%00",
    ]) {
      expectError(await get(`/v1/jobs/list?${query}`, { authorization }), 400, "invalid_tenant_id");
    }
    const twice = `org_id=${member.tenantId}&orgId=${member.tenantId}`;
    expect((await get(`/v1/jobs/list?${twice}`, { authorization })).status).toBe(200);
    expectError(await get("/v1/jobs/list?org_id=", { authorization }), 400, "tenant_required");
    expectError(await get("/v1/jobs/list?org_id[]=1", { authorization }), 400, "tenant_required");
  });

  it("takes the tenant of the other routes from the header alone", async () => {
    const id = await create();
    const headers = { authorization: member.headers["authorization"] ?? "", "content-type": "application/json" };
    for (const [method, path] of [
      ["POST", "/v1/jobs"],
      ["GET", `/v1/jobs/${id}`],
      ["DELETE", `/v1/jobs/${id}`],
      ["POST", `/v1/jobs/${id}/cancel`],
    ] as const) {
      const answer = await call(api, method, `${path}?org_id=${member.tenantId}`, headers);
      expectError(answer, 400, "tenant_required");
    }
  });

  it("echoes the user's id", async () => {
    const echoed = async (query: string) => (await get(`/v1/jobs/list?${query}`)).body.user_id;
    expect(await echoed("user_id=u-1")).toBe("u-1");
    expect(await echoed("userId=Gr%C3%BC%C3%9Fe%20%26%20more")).toBe("Grüße & more");
    expect(await echoed("user_id=u-1&userId=u-1")).toBe("u-1");
    expect(await echoed("user_id=")).toBeNull();
    expect(await echoed(`user_id=${encodeURIComponent("😀".repeat(200))}`)).toBe("😀".repeat(200));
  });

  it("refuses a user's id that is too long or given twice", async () => {
    for (const query of [`user_id=${"a".repeat(201)}`, "user_id=a&user_id=b", "user_id=a&userId=b"]) {
      const answer = await get(`/v1/jobs/list?${query}`);
      expectError(answer, 400, "invalid_input");
      expect(answer.body.details?.map(({ path }) => path)).toEqual(["user_id"]);
    }
  });

  it("shows no other tenant's jobs, nor any to a tenant without", async () => {
    await create();
    expect((await get("/v1/jobs/list", (await api.member()).headers)).body.items).toEqual([]);
  });

  it("answers HEAD without a body", async () => {
    const response = await fetch(`${api.url}/v1/jobs/list`, { method: "HEAD", headers: member.headers });
    expect([response.status, await response.text()]).toEqual([200, ""]);
  });
});

describe("GET /v1/jobs/:id", () => {
  it("answers the item that the list shows, with its attempts, its instant, its version and its origin", async () => {
    const { id, runAt } = await completed("done");
    const { status, body } = await get(`/v1/jobs/${id.toUpperCase()}`);
    const { items = [] } = (await get("/v1/jobs/list")).body;
    expect(status).toBe(200);
    const origin = { kind: "member", id: member.userId };
    const more = { attempt: 1, maxAttempts: 4, runAt: runAt.toISOString(), version: 3, origin };
    expect(body).toEqual({ ok: true, job: { ...items[0], ...more } });
  });
});

describe("DELETE /v1/jobs/:id", () => {
  const remove = (id: string): Promise<Answer> => call(api, "DELETE", `/v1/jobs/${id}`, member.headers);

  it("removes a job that is queued, completed, failed or canceled", async () => {
    const canceled = await create();
    await post(`/v1/jobs/${canceled}/cancel`);
    for (const id of [await create(), (await completed(null)).id, (await failed()).id, canceled]) {
      const { status, body } = await remove(id);
      expect({ status, body }).toEqual({ status: 200, body: { ok: true } });
      expectError(await get(`/v1/jobs/${id}`), 404, "job_not_found");
      expectError(await remove(id), 404, "job_not_found");
    }
    expect((await get("/v1/jobs/list")).body.items).toEqual([]);
  });

  it("refuses a running job", async () => {
    const { id } = await run();
    expectError(await remove(id), 409, "job_running");
    expect((await get(`/v1/jobs/${id}`)).body.job?.status).toBe("running");
  });
});

describe("POST /v1/jobs/:id/cancel and /retry", () => {
  it("cancels a queued job, and queues it again", async () => {
    const id = await create();
    const canceled = await post(`/v1/jobs/${id}/cancel`);
    expect(canceled.status).toBe(200);
    expect(canceled.body).toEqual({
      ok: true,
      id,
      status: "canceled",
      job: expect.objectContaining({ id, status: "canceled", finishedAt: instant }) as object,
    });
    const queued = await post(`/v1/jobs/${id}/retry`);
    expect(queued.body).toEqual({
      ok: true,
      id,
      status: "queued",
      job: expect.objectContaining({ id, status: "queued", finishedAt: null }) as object,
    });
    expect(queued.body.job).toEqual((await get(`/v1/jobs/${id}`)).body.job);
  });

  it("asks a running job to end, which stays running until it has", async () => {
    const { id } = await run();
    const { status, body } = await post(`/v1/jobs/${id}/cancel`);
    expect({ status, job: body.status }).toEqual({ status: 200, job: "running" });
  });

  it("needs no body, and takes an empty one", async () => {
    const id = await create();
    const { authorization, "x-tenant-id": tenant } = member.headers;
    const headers = { authorization: authorization ?? "", "x-tenant-id": tenant ?? "" };
    expect((await call(api, "POST", `/v1/jobs/${id}/cancel`, headers)).status).toBe(200);
    expect((await post(`/v1/jobs/${id}/retry`, {})).status).toBe(200);
    // As curl sends it with -d ''.
    const form = { ...headers, "content-type": "application/x-www-form-urlencoded" };
    expect((await call(api, "POST", `/v1/jobs/${id}/cancel`, form, "")).status).toBe(200);
  });

  it("refuses what the present status does not allow", async () => {
    const [queued, done, dead] = [await create(), (await completed(null)).id, (await failed()).id];
    for (const [id, change] of [
      [queued, "retry"],
      [done, "retry"],
      [done, "cancel"],
      [dead, "cancel"],
    ]) {
      expectError(await post(`/v1/jobs/${id}/${change}`), 409, "invalid_transition");
    }
  });
});

describe("every route of a job", () => {
  const routes = [
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/cancel"],
    ["POST", "/retry"],
  ] as const;

  it.each(routes)("%s /v1/jobs/:id%s answers another tenant's job like one that is not there", async (method, rest) => {
    const id = await create();
    const other = await api.member();
    const theirs = await call(api, method, `/v1/jobs/${id}${rest}`, other.headers);
    expectError(theirs, 404, "job_not_found");
    const unknown = randomUUID();
    const nobodys = await call(api, method, `/v1/jobs/${unknown}${rest}`, other.headers);
    expect(theirs.body.message?.replace(id, unknown)).toBe(nobodys.body.message);
    expect((await get(`/v1/jobs/${id}`)).body.job?.status).toBe("queued");
  });

  it.each(routes)("%s /v1/jobs/:id%s refuses an id that is no UUID", async (method, rest) => {
    for (const id of ["42", "list2", `${randomUUID()}0`, "%00", "%F0%9F%98%80", "__proto__"]) {
      const answer = await call(api, method, `/v1/jobs/${id}${rest}`, member.headers);
      expectError(answer, 400, "invalid_input");
      expect(answer.body.details).toEqual([{ path: "id", message: "must be a UUID" }]);
    }
  });

  it("lets a member whose role is viewer read and change nothing", async () => {
    const viewer = await api.member({ role: "viewer" });
    expect((await get("/v1/jobs/list", viewer.headers)).status).toBe(200);
    const refused = [
      await call(api, "POST", "/v1/jobs", viewer.headers, { jobType: "TEST" }),
      ...(await Promise.all(
        routes.slice(1).map(([method, rest]) => call(api, method, `/v1/jobs/${randomUUID()}${rest}`, viewer.headers)),
      )),
    ];
    for (const answer of refused) expectError(answer, 403, "tenant_access_denied");
  });
});

describe("LEGACY_STATUS_NAMES", () => {
  it("writes succeeded for completed everywhere, and no other name differently", async () => {
    const legacy = await startApi({ legacyStatusNames: true }, api.own);
    const { id } = await completed(null);
    const queued = await create();
    const headers = headersFor(member.token, member.tenantId);
    const list = await call(legacy, "GET", "/v1/jobs/list", headers);
    expect(list.body.items?.map((item) => item.status).toSorted()).toEqual(["queued", "succeeded"]);
    expect((await call(legacy, "GET", `/v1/jobs/${id}`, headers)).body.job?.status).toBe("succeeded");
    expect((await call(legacy, "POST", `/v1/jobs/${queued}/cancel`, headers)).body).toMatchObject({
      status: "canceled",
      job: { status: "canceled" },
    });
    expect((await get(`/v1/jobs/${id}`)).body.job?.status).toBe("completed");
    expect((await call(legacy, "DELETE", `/v1/jobs/${id}`, headers)).body).toEqual({ ok: true });
  });
});
