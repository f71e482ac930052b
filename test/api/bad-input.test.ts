import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { ERRORS } from "../../src/errors.js";
import { startApi, type TestApi, type TestMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { send } from "../support/graphql.js";

let api: TestApi;
let member: TestMember;
beforeAll(async () => {
  api = await startApi();
  member = await api.member();
});
afterAll(() => api.close());

async function stored(): Promise<number> {
  return (await asSuperuser("select 1 from jobs", api.own.superuserUrl)).length;
}

async function post(body: string | Uint8Array, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/v1/jobs`, {
    method: "POST",
    headers: { ...member.headers, ...headers },
    body: body as string,
  });
  expect(response.headers.get("content-type")).toContain("application/json");
  const answer = (await response.json()) as { ok: boolean; id?: string; error?: string; details?: { path: string }[] };
  return { ...answer, status: response.status };
}

const nested = (levels: number): unknown => {
  let value: unknown = {};
  for (let level = 1; level < levels; level += 1) value = { a: value };
  return value;
};
const deep = (levels: number) => `{"a":`.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);
const create = (fields: Record<string, unknown>) => JSON.stringify({ jobType: "A", ...fields });
const day = 86_400_000;

describe("a create that is bad", () => {
  const REFUSED: [what: string, body: string, path: string][] = [
    ["a job type of 101 characters", create({ jobType: "x".repeat(101) }), "jobType"],
    ["a job type with a control character", create({ jobType: "A\u0007" }), "jobType"],
    ["a job type with NUL", create({ jobType: "A\0" }), "jobType"],
    ["a job type with a lone surrogate", `{"jobType":"A\\ud800"}`, "jobType"],
    ["a job type that is a number", create({ jobType: 7 }), "jobType"],
    ["a priority of 1.5", create({ priority: 1.5 }), "priority"],
    ["a priority of 10^12", create({ priority: 1e12 }), "priority"],
    ["a priority that is text", create({ priority: "1" }), "priority"],
    ["a priority just past 32 bits", create({ priority: 2 ** 31 }), "priority"],
    ["an input that is a list", create({ input: [] }), "input"],
    ["an input that is text", create({ input: "{}" }), "input"],
    ["an input of 65 levels", create({ input: nested(65) }), "input"],
    ["an input of 10,000 levels", `{"jobType":"A","input":${deep(10_000)}}`, "input"],
    ["an input over 256 KiB", create({ input: { a: "x".repeat(256 * 1024) } }), "input"],
    ["an input with NUL", create({ input: { a: ["b\0"] } }), "input"],
    ["an input with a NUL key", create({ input: { "a\0": 1 } }), "input"],
    ["an input with a lone surrogate", `{"jobType":"A","input":{"a":"\\udc00"}}`, "input"],
    ["an input with a number that JSON cannot hold", `{"jobType":"A","input":{"a":1e999}}`, "input"],
    ["a runAt over a year ahead", create({ runAt: new Date(Date.now() + 400 * day) }), "runAt"],
    ["a runAt that is no instant", create({ runAt: "tomorrow" }), "runAt"],
    ["no attempts", create({ maxAttempts: 0 }), "maxAttempts"],
    ["26 attempts", create({ maxAttempts: 26 }), "maxAttempts"],
    ["two spellings of the job type that differ", create({ job_type: "B" }), "job_type"],
    ["a body that is a list", "[]", ""],
    ["a body that is text", `"x"`, ""],
  ];

  it.each(REFUSED)("is refused for %s, names the field, and stores nothing", async (_what, body, path) => {
    const before = await stored();
    const answer = await post(body);
    expect(answer).toMatchObject({ status: 400, ok: false, error: "invalid_input", details: [{ path }] });
    expect(await stored()).toBe(before);
  });

  it.each([["{}"], [`{"jobType":null}`], [`{"jobType":""}`], [`{"jobType":" \\t"}`]])(
    "misses its job type: %s",
    async (body) => {
      expect(await post(body)).toMatchObject({ status: 400, error: "missing_job_type" });
    },
  );

  it("names every bad field at once", async () => {
    const { details } = await post(create({ priority: 1.5, maxAttempts: 99, input: [] }));
    expect(details?.map(({ path }) => path).toSorted()).toEqual(["input", "maxAttempts", "priority"]);
  });

  it.each([
    ["malformed JSON", `{"jobType":`, {}, 400, "invalid_json"],
    ["10 MB", JSON.stringify({ jobType: "A", input: { a: "x".repeat(10_000_000) } }), {}, 413, "payload_too_large"],
    [
      "another media type",
      "jobType=A",
      { "content-type": "application/x-www-form-urlencoded" },
      415,
      "unsupported_media_type",
    ],
    ["text/plain", create({}), { "content-type": "text/plain" }, 415, "unsupported_media_type"],
    [
      "an unknown charset",
      create({}),
      { "content-type": "application/json; charset=klingon" },
      415,
      "unsupported_media_type",
    ],
    ["an unknown encoding", create({}), { "content-encoding": "zip" }, 415, "unsupported_media_type"],
  ])("is refused for a body of %s", async (_what, body, headers, status, error) => {
    expect(await post(body, headers as Record<string, string>)).toMatchObject({ status, error });
  });

  it("is refused for its token before its body is read", async () => {
    expect(await post("{", { authorization: "Bearer x" })).toMatchObject({ status: 401, error: "invalid_token" });
  });

  it("is refused over GraphQL as well, and stores nothing", async () => {
    const before = await stored();
    const query = `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }`;
    const inputs: [Record<string, unknown>, number, string][] = [
      [{ jobType: " " }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: nested(65) }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: { a: "\0" } }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: { a: "\ud800" } }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", maxAttempts: 26 }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", priority: 1.5 }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", priority: 1e12 }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", input: [] }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", runAt: "tomorrow" }, 400, "BAD_USER_INPUT"],
      [{ jobType: null }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", surprise: 1 }, 400, "BAD_USER_INPUT"],
    ];
    for (const [input, status, code] of inputs) {
      const answer = await send(api, query, { input }, member.headers);
      expect([input, answer.status, answer.errors?.[0]?.extensions["code"]]).toEqual([input, status, code]);
    }
    const named = await send(api, query, { input: { jobType: "A", maxAttempts: 26 } }, member.headers);
    expect(named.errors?.[0]?.extensions["details"]).toEqual([
      { path: "input.maxAttempts", message: "must be a whole number, 1–25" },
    ]);
    const deepVariables = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: member.headers,
      body: `{"query":${JSON.stringify(query)},"variables":{"input":{"jobType":"A","input":${deep(10_000)}}}}`,
    });
    expect(deepVariables.status).toBeLessThan(500);
    expect(await stored()).toBe(before);
  });
});

describe("a create at its bounds", () => {
  it.each([
    ["a job type of 100 characters", create({ jobType: "😀".repeat(100) })],
    ["the greatest priority", create({ priority: 2 ** 31 - 1 })],
    ["the least priority", create({ priority: -(2 ** 31) })],
    ["an input of 64 levels", create({ input: nested(64) })],
    ["an input of nearly 256 KiB", create({ input: { a: "x".repeat(256 * 1024 - 8) } })],
    ["nulls, which count as absent", create({ priority: null, input: null, runAt: null, maxAttempts: null })],
    ["__proto__ as a key", `{"jobType":"A","input":{"__proto__":{"a":1}}}`],
    ["job_type", `{"job_type":"A"}`],
    ["a field that it does not know", create({ color: "red" })],
    ["another JSON media type", create({})],
  ])("goes through with %s", async (_what, body) => {
    expect(await post(body)).toMatchObject({ status: 200, ok: true });
  });

  it("keeps __proto__ as an ordinary key", async () => {
    const { id } = (await post(`{"jobType":"PROTO","input":{"__proto__":{"a":1}}}`)) as unknown as { id: string };
    const response = await fetch(`${api.url}/v1/jobs/${id}`, { headers: member.headers });
    expect(await response.text()).toContain(`"input":{"__proto__":{"a":1}}`);
  });
});

describe("other bad requests", () => {
  const get = async (path: string, method = "GET") => {
    const response = await fetch(api.url + path, { method, headers: member.headers });
    const body = (await response.json()) as { error: string; requestId: string; message: string };
    return {
      status: response.status,
      error: body.error,
      requestId: body.requestId,
      allow: response.headers.get("allow"),
    };
  };

  it.each([
    ["an unknown route", "/v1/nothing", "GET", 404, "not_found"],
    ["the root", "/", "GET", 404, "not_found"],
    ["an unknown method", "/v1/jobs", "PATCH", 405, "method_not_allowed"],
    ["a wrong method for the list", "/v1/jobs/list", "PUT", 405, "method_not_allowed"],
    ["an unknown job", `/v1/jobs/${randomUUID()}`, "GET", 404, "job_not_found"],
    ["the deletion of an unknown job", `/v1/jobs/${randomUUID()}`, "DELETE", 404, "job_not_found"],
    ["an id that is no UUID", "/v1/jobs/42", "DELETE", 400, "invalid_input"],
    ["an id with NUL", "/v1/jobs/%00", "GET", 400, "invalid_input"],
    ["broken percent-encoding", "/v1/jobs/%E0%A4%A", "GET", 400, "invalid_input"],
    ["a user_id of 201 characters", `/v1/jobs/list?user_id=${"u".repeat(201)}`, "GET", 400, "invalid_input"],
    ["two user ids", "/v1/jobs/list?user_id=a&userId=b", "GET", 400, "invalid_input"],
  ])("%s answers in JSON, with a request id", async (_what, path, method, status, error) => {
    const answer = await get(path, method);
    expect(answer).toMatchObject({ status, error, requestId: expect.any(String) });
    expect(answer.allow === null).toBe(status !== 405);
  });

  it("takes the tenant of the list from the query when the header is missing, one tenant only", async () => {
    const { "x-tenant-id": _, ...headers } = member.headers;
    const list = async (query: string) => {
      const response = await fetch(`${api.url}/v1/jobs/list?${query}`, { headers });
      const { error, org_id } = (await response.json()) as { error?: string; org_id?: string };
      return error ?? org_id;
    };
    expect(await list(`org_id=${member.tenantId}`)).toBe(member.tenantId);
    expect(await list(`orgId=${member.tenantId}`)).toBe(member.tenantId);
    expect(await list(`org_id=${member.tenantId}&orgId=${randomUUID()}`)).toBe("invalid_tenant_id");
    expect(await list(`org_id=${member.tenantId}&org_id=${randomUUID()}`)).toBe("invalid_tenant_id");
    expect(await list("")).toBe("tenant_required");
  });

  it("refuses two tenant headers", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request(
        `${api.url}/v1/jobs/list`,
        {
          headers: {
            authorization: member.headers["authorization"] ?? "",
            "x-tenant-id": [member.tenantId, randomUUID()],
          },
        },
        (response) => resolve(response.resume().statusCode),
      )
        .on("error", reject)
        .end();
    });
    expect(status).toBe(400);
  });

  it("shows deleting a running job as a conflict on both surfaces", async () => {
    const { id } = (await post(create({}))) as unknown as { id: string };
    await asSuperuser(
      `update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where id = '${id}'`,
      api.own.superuserUrl,
    );
    expect(await get(`/v1/jobs/${id}`, "DELETE")).toMatchObject({ status: 409, error: "job_running" });
    const { errors } = await send(
      api,
      `mutation ($id: ID!) { deleteJob(id: $id) { deletedJobId } }`,
      { id },
      member.headers,
    );
    expect(errors?.[0]?.extensions["code"]).toBe("JOB_RUNNING");
  });

  it.each([
    ["no query", `{}`, "application/json", 400],
    ["unparsable JSON", `{"query"`, "application/json", 400],
    ["a syntax error", `{"query":"{"}`, "application/graphql-response+json", 400],
    ["a syntax error, for a client of the old media type", `{"query":"{"}`, "application/json", 200],
    ["an unknown field", `{"query":"{ nothing }"}`, "*/*", 400],
    ["10,000 levels", JSON.stringify({ query: "{a".repeat(10_000) + "}".repeat(10_000) }), "*/*", 400],
    ["10,000 levels of a list", JSON.stringify({ query: `{ job(id: ${"[".repeat(10_000)}` }), "*/*", 400],
    [
      "51 root fields",
      JSON.stringify({ query: `{ ${Array.from({ length: 51 }, (_, n) => `a${n}: __typename`).join(" ")} }` }),
      "*/*",
      400,
    ],
  ])("GraphQL answers %s (%#)", async (_what, body, accept, status) => {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { ...member.headers, accept },
      body,
    });
    expect(response.status).toBe(status);
    const { errors } = (await response.json()) as { errors: { extensions: { code: string; requestId: string } }[] };
    expect(errors[0]?.extensions.code).not.toBe("INTERNAL_SERVER_ERROR");
  });

  it.each([
    [`{ jobs(first: 0) { totalCount } }`, "first must be 1–200, got 0"],
    [`{ jobs(first: 201) { totalCount } }`, "first must be 1–200, got 201"],
    [`{ jobs(first: 1, last: 1) { totalCount } }`, "last must not be given together with first"],
    [
      `{ jobs(filter: {jobType: [${'"a",'.repeat(101)}]}) { totalCount } }`,
      "filter.jobType must name at most 100, got 101",
    ],
  ])("GraphQL names the bound: %s", async (query, message) => {
    const { errors } = await send(api, query, {}, member.headers);
    expect(errors?.[0]).toMatchObject({ message, extensions: { code: "BAD_USER_INPUT" } });
  });

  it("refuses a page cursor that is an event's, or another tenant's", async () => {
    const other = await api.member();
    const { data } = await send(api, `{ jobs(first: 1) { eventCursor pageInfo { endCursor } } }`, {}, member.headers);
    const { eventCursor, pageInfo } = data!["jobs"] as { eventCursor: string; pageInfo: { endCursor: string } };
    const page = `query ($after: String) { jobs(after: $after) { totalCount } }`;
    for (const [after, who] of [
      [eventCursor, member],
      [pageInfo.endCursor, other],
      ["x", member],
    ] as const) {
      expect((await send(api, page, { after }, who.headers)).errors?.[0]?.extensions["code"]).toBe("INVALID_CURSOR");
    }
  });
});

it("every code of the table has a status that an HTTP client understands", () => {
  for (const { status, graphql } of Object.values(ERRORS)) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(graphql).toMatch(/^[A-Z_]+$/);
  }
});
