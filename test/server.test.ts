import http from "node:http";
import { AtlasError } from "../src/errors.js";
import { call } from "./rest/call.js";
import { until } from "./support/until.js";
import { type Line, serve, type Served } from "./http/server-rig.js";

describe("every answer", () => {
  it("is named by the client's request id, or by one of ours where theirs is unfit", async () => {
    const served = await serve();
    const named = async (id?: string) =>
      (await call(served, "GET", "/nowhere", id === undefined ? {} : { "x-request-id": id })).body.requestId;
    expect(await named("client.id_1-2")).toBe("client.id_1-2");
    for (const unfit of [undefined, "a b", "<script>", "x".repeat(101), "é"]) {
      expect(await named(unfit)).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    }
  });

  it("carries security headers and does not say what serves it", async () => {
    const { headers } = await call(await serve(), "GET", "/healthz");
    expect(headers.get("content-security-policy")).toBe("default-src 'none';frame-ancestors 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.has("x-powered-by")).toBe(false);
  });

  it("leaves its security headers to whoever sets their own", async () => {
    const policy = "default-src 'self'";
    const { url } = await serve((_request, response) => void response.set("content-security-policy", policy).json({}));
    expect((await fetch(`${url}/graphql`)).headers.get("content-security-policy")).toBe(policy);
  });
});

describe("CORS", () => {
  const origin = "https://app.example.com";
  const preflight = (url: string, from = origin): Promise<Response> =>
    fetch(`${url}/v1/jobs`, {
      method: "OPTIONS",
      headers: {
        origin: from,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-tenant-id",
      },
    });

  it("admits no origin unless one is set", async () => {
    const { url } = await serve();
    expect((await preflight(url)).headers.has("access-control-allow-origin")).toBe(false);
    const plain = await fetch(`${url}/healthz`, { headers: { origin } });
    expect(plain.headers.has("access-control-allow-origin")).toBe(false);
  });

  it("admits the origins that are set and no other", async () => {
    const { url } = await serve(undefined, { corsOrigins: ["https://other.example.com", origin] });
    const answer = await preflight(url);
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
    expect(answer.headers.get("vary")).toContain("Origin");
    expect(answer.headers.get("access-control-allow-methods")).toContain("DELETE");
    expect(answer.headers.get("access-control-allow-headers")).toBe("authorization,content-type,x-tenant-id");
    expect(Number(answer.headers.get("access-control-max-age"))).toBeGreaterThan(0);
    for (const from of ["https://app.example.com.evil.example", "http://app.example.com", "null"]) {
      expect((await preflight(url, from)).headers.has("access-control-allow-origin")).toBe(false);
    }
  });

  it("lets a page read what the answer says of limits, errors included", async () => {
    const { url } = await serve(undefined, { corsOrigins: ["*"] });
    const { headers } = await fetch(`${url}/nowhere`, { headers: { origin } });
    expect(headers.get("access-control-allow-origin")).toBe("*");
    const exposed = headers.get("access-control-expose-headers")?.split(",");
    expect(exposed).toEqual(
      expect.arrayContaining(["RateLimit", "RateLimit-Remaining", "Retry-After", "X-Request-Id"]),
    );
  });
});

describe("/graphql", () => {
  interface GraphqlErrors {
    errors: { message: string; extensions: { code: string; requestId: string } }[];
  }

  async function fail(served: Served, body: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${served.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-request-id": "r-1", ...headers },
      body,
    });
    const { errors } = (await response.json()) as GraphqlErrors;
    expect(errors).toHaveLength(1);
    expect(errors[0]?.extensions.requestId).toBe("r-1");
    return { status: response.status, code: errors[0]?.extensions.code, headers: response.headers, errors };
  }

  it("answers a body that it cannot take in GraphQL's shape", async () => {
    const served = await serve((_request, response) => void response.json({}));
    expect(await fail(served, "{")).toMatchObject({ status: 400, code: "BAD_REQUEST" });
    expect(await fail(served, "{}", { "content-type": "text/plain" })).toMatchObject({
      status: 415,
      code: "UNSUPPORTED_MEDIA_TYPE",
    });
    const large = JSON.stringify({ query: "x".repeat(8 * 1024 * 1024) });
    expect(await fail(served, large)).toMatchObject({ status: 413, code: "PAYLOAD_TOO_LARGE" });
  });

  it("answers other methods in GraphQL's shape", async () => {
    const served = await serve((_request, response) => void response.json({}));
    const response = await fetch(`${served.url}/graphql`, { method: "PUT", body: "{}" });
    const { errors } = (await response.json()) as GraphqlErrors;
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, POST"]);
    expect(errors[0]?.extensions.code).toBe("METHOD_NOT_ALLOWED");
  });

  it("takes a body of up to 8 MiB", async () => {
    const served = await serve(
      (request, response) => void response.json((request.body as { query: string }).query.length),
    );
    const body = JSON.stringify({ query: "" }).replace('""', `"${"x".repeat(8 * 1024 * 1024 - 12)}"`);
    expect(Buffer.byteLength(body)).toBe(8 * 1024 * 1024);
    const response = await fetch(`${served.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect([response.status, await response.text()]).toEqual([200, "8388596\n"]);
  });

  it("answers what is thrown before GraphQL has the request by the table", async () => {
    const thrown: unknown[] = [
      new AtlasError("missing_bearer_token", "No token"),
      new AtlasError("unavailable", "Away", { retryAfterSeconds: 2 }),
      new Error("secret"),
    ];
    const served = await serve((_request, _response, next) => next(thrown.shift()));
    const unauthenticated = await fail(served, "{}");
    expect(unauthenticated).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    expect(unauthenticated.headers.get("www-authenticate")).toBe("Bearer");
    const away = await fail(served, "{}");
    expect(away).toMatchObject({ status: 503, code: "UNAVAILABLE" });
    expect(away.headers.get("retry-after")).toBe("2");
    const broken = await fail(served, "{}");
    expect(broken).toMatchObject({ status: 500, code: "INTERNAL_SERVER_ERROR" });
    expect(JSON.stringify(broken.errors)).not.toContain("secret");
  });
});

describe("the request log", () => {
  const lineOf = (served: Served, requestId: string): Promise<Line> =>
    until(() => served.lines.find((line) => line["requestId"] === requestId));

  it("writes one line a request, without its query string or its token", async () => {
    const served = await serve();
    const headers = { authorization: "Bearer s3cret", "x-request-id": "r-1" };
    await call(served, "GET", "/nowhere?token=s3cret", headers);
    expect(await lineOf(served, "r-1")).toMatchObject({
      level: 20,
      method: "GET",
      path: "/nowhere",
      status: 404,
      durationMs: expect.any(Number) as number,
    });
    expect(served.lines).toHaveLength(1);
    expect(JSON.stringify(served.lines)).not.toContain("s3cret");
  });

  it("says in that line why a request failed, with its cause", async () => {
    const thrown: unknown[] = [
      new AtlasError("unavailable", "Away", { cause: new Error("ECONNREFUSED 127.0.0.1") }),
      new Error("a bug"),
    ];
    const served = await serve((_request, _response, next) => next(thrown.shift()));
    for (const [requestId, level, why] of [
      ["r-1", 40, "ECONNREFUSED"],
      ["r-2", 50, "a bug"],
    ] as const) {
      await fetch(`${served.url}/graphql`, { headers: { "x-request-id": requestId } });
      const { level: logged, err } = await lineOf(served, requestId);
      expect(logged).toBe(level);
      expect(err?.stack).toContain(why);
    }
    expect(served.lines).toHaveLength(2);
  });

  it("tells a client that went away from one that was answered", async () => {
    const arrived = Promise.withResolvers<void>();
    const served = await serve(() => arrived.resolve());
    const request = http
      .get(`${served.url}/graphql`, { headers: { "x-request-id": "r-1" } })
      .on("error", () => undefined);
    await arrived.promise;
    request.destroy();
    expect(await lineOf(served, "r-1")).toMatchObject({ status: 499 });
  });
});
