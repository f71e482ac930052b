import { useApi, useMember } from "../support/api.js";
import { call, expectError } from "./call.js";

const api = useApi();
const member = useMember(api, { role: "owner" });
let id: string;
beforeAll(async () => {
  id = (await call(api, "POST", "/v1/jobs", member.headers, { jobType: "A" })).body.id ?? "";
});

const send = (method: string, path: string, body?: unknown) =>
  call(api, method, path.replace(":id", id), member.headers, body);

describe("a route that is ours alone", () => {
  it.each([
    ["GET", "/v1/jobs/:id", "; known are wait"],
    ["GET", "/v1/jobs/events", "; known are after, until, job_id, jobId, job_type, jobType, status"],
    ["GET", "/v1/members", "; known are after"],
    ["POST", "/v1/jobs/:id/cancel", ""],
    ["POST", "/v1/jobs/:id/retry", ""],
  ])("%s %s refuses by name what it does not know", async (method, path, known) => {
    const answer = await send(method, `${path}?limit=1&__proto__=2`);
    expectError(answer, 400, "invalid_input");
    const message = `is not known here${known}`;
    expect(answer.body.details).toEqual([
      { path: "limit", message },
      { path: "__proto__", message },
    ]);
  });

  it.each([
    ["/v1/jobs/events?after=", "after"],
    ["/v1/jobs/events?job_id=", "job_id"],
    ["/v1/jobs/events?status=failed&status=", "status"],
    ["/v1/jobs/:id?wait", "wait"],
    ["/v1/members?after=", "after"],
  ])("refuses a name without a value, as an unset variable leaves it: %s", async (path, name) => {
    const answer = await send("GET", path);
    expectError(answer, 400, "invalid_input");
    expect(answer.body.details).toEqual([{ path: name, message: "must not be empty" }]);
  });

  it.each(["cancel", "retry"])("%s refuses what a body has, and bodies that are no JSON object", async (change) => {
    const path = `/v1/jobs/:id/${change}`;
    const named = await send("POST", path, { runAt: null, __proto__: {} });
    expectError(named, 400, "invalid_input");
    expect(named.body.details).toEqual([{ path: "runAt", message: "is not known here" }]);
    expectError(await send("POST", path, [1]), 400, "invalid_input");
    expectError(await send("POST", path, "{"), 400, "invalid_json");
    const text = { ...member.headers, "content-type": "text/plain" };
    expectError(await call(api, "POST", path.replace(":id", id), text, "x"), 415, "unsupported_media_type");
    expect((await send("GET", "/v1/jobs/:id")).body.job?.version).toBe(1);
  });

  it("names no more than it can, however much is sent", async () => {
    const body = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`${n}${"x".repeat(500)}`, n]));
    const answer = await send("POST", "/v1/jobs/:id/cancel", body);
    expectError(answer, 400, "invalid_input");
    expect(answer.body.details).toHaveLength(10);
    expect(Math.max(...(answer.body.details ?? []).map(({ path }) => path.length))).toBe(100);
  });
});

describe("a route of the legacy API", () => {
  it("ignores what it does not know, as that did", async () => {
    expect((await send("GET", "/v1/jobs/list?status=failed&limit=0&after=")).body.items).toHaveLength(1);
    expect((await send("POST", "/v1/jobs?dry_run=1", { jobType: "A", colour: "red" })).status).toBe(200);
    expect((await send("DELETE", "/v1/jobs/:id?force=true")).status).toBe(200);
  });
});
