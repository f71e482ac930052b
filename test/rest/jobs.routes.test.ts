import { randomUUID } from "node:crypto";
import { headersFor, startApi } from "../support/api.js";
import { call, expectError } from "./call.js";
import { api, completed, create, failed, get, member, post, instant } from "./jobs-rig.js";

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
