import { randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import { issueToken } from "../../src/auth/issue-token.js";
import { headersFor, startApi, useApi, useMember, tokenOf } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { type Answer, call, expectError } from "./call.js";

const MEBIBYTE = 1024 * 1024;

const api = useApi();
const member = useMember(api);

const post = (headers: Record<string, string>, body?: unknown): Promise<Answer> =>
  call(api, "POST", "/v1/jobs", { ...member.headers, ...headers }, body);

const id = randomUUID();
const ROUTES = [
  ["GET", "/v1/jobs/list"],
  ["POST", "/v1/jobs"],
  ["GET", `/v1/jobs/${id}`],
  ["DELETE", `/v1/jobs/${id}`],
  ["POST", `/v1/jobs/${id}/cancel`],
  ["POST", `/v1/jobs/${id}/retry`],
] as const;

describe.each(ROUTES)("%s %s", (method, path) => {
  const ask = (headers: Record<string, string>): Promise<Answer> => call(api, method, path, headers);

  it("answers missing_bearer_token without one", async () => {
    for (const authorization of ["", "Basic dXNlcjpwYXNz", "Bearer", `Token ${member.token}`]) {
      const answer = await ask({ ...member.headers, authorization });
      expectError(answer, 401, "missing_bearer_token");
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
  });

  it("answers invalid_token for one that is bad, expired or of another key", async () => {
    const foreign = { key: { kind: "secret", secret: randomUUID() }, issuer: null, audience: null } as const;
    const tokens = [
      "x",
      "a.b.c",
      tokenOf(member.userId, -60),
      tokenOf("no-uuid"),
      issueToken(foreign, member.userId, 60),
    ];
    for (const token of tokens) {
      expectError(await ask(headersFor(token, member.tenantId)), 401, "invalid_token");
    }
  });

  it("answers tenant_required without a tenant, and invalid_tenant_id for what is none or several", async () => {
    for (const tenant of ["", " ", ","])
      expectError(await ask(headersFor(member.token, tenant)), 400, "tenant_required");
    for (const tenant of ["42", `${member.tenantId}x`, `${member.tenantId}, ${randomUUID()}`]) {
      expectError(await ask(headersFor(member.token, tenant)), 400, "invalid_tenant_id");
    }
  });

  it("answers tenant_access_denied alike for another's tenant and for none", async () => {
    const other = await api.member();
    const theirs = await ask(headersFor(member.token, other.tenantId));
    expectError(theirs, 403, "tenant_access_denied");
    expect((await ask(headersFor(member.token, randomUUID()))).body.message).toBe(theirs.body.message);
  });
});

describe("the order of refusals", () => {
  it("settles who asks before it looks at the body", async () => {
    const broken = "{".repeat(100);
    expectError(
      await call(api, "POST", "/v1/jobs", { "content-type": "text/xml" }, broken),
      401,
      "missing_bearer_token",
    );
    expectError(await post({ authorization: "Bearer x" }, "x".repeat(10 * MEBIBYTE)), 401, "invalid_token");
    expectError(await post({ authorization: "Bearer x", "x-tenant-id": "42" }, broken), 401, "invalid_token");
    expectError(await post({ "x-tenant-id": "42" }, broken), 400, "invalid_tenant_id");
    expectError(await post({ "x-tenant-id": randomUUID() }, broken), 403, "tenant_access_denied");
    expectError(await post({}, broken), 400, "invalid_json");
  });
});

describe("a body", () => {
  it("that is no JSON is invalid_json", async () => {
    for (const body of ["{", "{'jobType':'A'}", "jobType=A", "undefined", '{"jobType":"A"} x', "\u0000", '"\u0001"']) {
      expectError(await post({}, body), 400, "invalid_json");
    }
  });

  it("that is JSON but no object is invalid_input", async () => {
    for (const body of ["[]", '[{"jobType":"A"}]', '"A"', "42", "true"]) {
      expectError(await post({}, body), 400, "invalid_input");
    }
  });

  it("that is empty, null or missing lacks its job type", async () => {
    for (const body of ["", "null", "{}", undefined]) expectError(await post({}, body), 400, "missing_job_type");
    const { "content-type": _, ...headers } = member.headers;
    expectError(await call(api, "POST", "/v1/jobs", headers), 400, "missing_job_type");
  });

  it("of more than 1 MiB is payload_too_large, also when it is compressed or says no length", async () => {
    const sized = (bytes: number): string => JSON.stringify({ jobType: "A", pad: "" }).padEnd(bytes);
    expect((await post({}, sized(MEBIBYTE))).status).toBe(200);
    const refused = await post({}, sized(MEBIBYTE + 1));
    expectError(refused, 413, "payload_too_large");
    expect(refused.body.message).toBe("The body may have 1048576 bytes");
    expectError(await post({}, sized(10 * MEBIBYTE)), 413, "payload_too_large");
    expectError(await post({}, new Blob([sized(MEBIBYTE + 1)]).stream()), 413, "payload_too_large");
    const bomb = gzipSync(sized(50 * MEBIBYTE));
    expect(bomb.length).toBeLessThan(MEBIBYTE);
    expectError(await post({ "content-encoding": "gzip" }, bomb), 413, "payload_too_large");
  });

  it("may be compressed", async () => {
    expect((await post({ "content-encoding": "gzip" }, gzipSync('{"jobType":"A"}'))).status).toBe(200);
    expectError(await post({ "content-encoding": "gzip" }, "no gzip"), 400, "invalid_input");
  });

  it("of another media type, charset or encoding is unsupported_media_type", async () => {
    for (const headers of [
      { "content-type": "text/plain" },
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-type": "application/jsonp" },
      { "content-type": "nonsense" },
      { "content-type": "application/json; charset=latin1" },
      { "content-encoding": "zip" },
    ]) {
      expectError(await post(headers, '{"jobType":"A"}'), 415, "unsupported_media_type");
    }
    const { "content-type": _, ...headers } = member.headers;
    const untyped = new TextEncoder().encode('{"jobType":"A"}');
    expectError(await call(api, "POST", "/v1/jobs", headers, untyped), 415, "unsupported_media_type");
  });
});

describe("a route", () => {
  it("that does not exist is not_found", async () => {
    for (const path of [
      "/",
      "/v1",
      "/v1/job",
      `/v1/jobs/${id}/pause`,
      "/v2/jobs/list",
      "/graphql/more",
      "/favicon.ico",
    ]) {
      expectError(await call(api, "GET", path, member.headers), 404, "not_found");
    }
  });

  it("names the methods it has to one it has not", async () => {
    for (const [method, path, allow] of [
      ["POST", "/v1/jobs/list", "GET, HEAD"],
      ["DELETE", "/v1/jobs/list", "GET, HEAD"],
      ["GET", "/v1/jobs", "POST"],
      ["OPTIONS", "/v1/jobs", "POST"],
      ["PUT", `/v1/jobs/${id}`, "GET, HEAD, DELETE"],
      ["GET", `/v1/jobs/${id}/cancel`, "POST"],
      ["DELETE", `/v1/jobs/${id}/retry`, "POST"],
      ["POST", "/healthz", "GET, HEAD"],
      ["POST", "/readyz", "GET, HEAD"],
      ["DELETE", "/metrics", "GET, HEAD"],
    ] as const) {
      const answer = await call(api, method, path, member.headers);
      expectError(answer, 405, "method_not_allowed");
      expect(answer.headers.get("allow")).toBe(allow);
    }
  });

  it("with broken percent-encoding is invalid_input", async () => {
    for (const path of ["/v1/jobs/%", "/v1/jobs/%E0%A4%A", "/v1/jobs/%zz/cancel"]) {
      expectError(
        await call(api, path.endsWith("cancel") ? "POST" : "GET", path, member.headers),
        400,
        "invalid_input",
      );
    }
    expect((await call(api, "GET", "/v1/jobs/list?user_id=%E0%A4%A", member.headers)).status).toBe(200);
  });
});

describe("a failure of ours", () => {
  it("is internal_error, and nothing of it leaks", async () => {
    const broken = await startApi();
    const { headers } = await broken.member();
    await asSuperuser("alter table jobs rename to jobs_elsewhere", broken.own.superuserUrl);
    const answer = await call(broken, "GET", "/v1/jobs/list", headers);
    expectError(answer, 500, "internal_error");
    expect(JSON.stringify(answer.body)).not.toMatch(/jobs|relation|select|sql|stack/i);
  });
});
