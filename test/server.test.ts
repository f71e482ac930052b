import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RequestHandler } from "express";
import { pino } from "pino";
import { type Config, ConfigError, loadConfig } from "../src/config.js";
import { Database } from "../src/database/database.js";
import { AtlasError } from "../src/errors.js";
import { createGraphqlRoutes } from "../src/graphql/graphql-routes.js";
import { Pace } from "../src/limits/pace.js";
import { LARGE_JSON } from "../src/limits/policies.js";
import { createMetrics } from "../src/metrics.js";
import { type AtlasServer, createServer } from "../src/server.js";
import { call, expectError } from "./rest/call.js";
import { openDatabaseProxy } from "./support/database-proxy.js";
import { startApi } from "./support/api.js";
import { createTestDatabase, useDatabase, silent } from "./support/database.js";
import { until } from "./support/until.js";
import { atEnd } from "./support/use.js";

type Line = Record<string, unknown> & { err?: { message: string; stack: string } };

interface Served {
  url: string;
  port: number;
  server: AtlasServer;
  lines: Line[];
}

const signIn: RequestHandler = (_request, _response, next) => next();
const bodies = new Pace(LARGE_JSON);

const own = useDatabase();

/** Serves one handler in GraphQL's place, or health and metrics alone; keeps what is logged. */
async function serve(
  graphql?: RequestHandler,
  settings: Partial<Config> = {},
  database: Database = own.database,
): Promise<Served> {
  const lines: Line[] = [];
  const server = createServer({
    config: { ...loadConfig({}), port: 0, ...settings },
    log: pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as Line) }),
    database,
    metrics: createMetrics(database),
    surfaces: graphql === undefined ? [] : [{ routes: () => createGraphqlRoutes({ signIn, answer: graphql, bodies }) }],
  });
  atEnd(() => server.close(0));
  return { ...(await server.listen()), server, lines };
}

describe("health", () => {
  it("is served without an API, and nothing else is", async () => {
    const served = await serve();
    expect((await call(served, "GET", "/healthz")).body).toEqual({ ok: true });
    expect((await call(served, "GET", "/readyz")).body).toEqual({ ok: true });
    for (const path of ["/graphql", "/v1/jobs/list"]) {
      const answer = await fetch(served.url + path);
      expect([answer.status, await answer.json()]).toMatchObject([404, { error: "not_found" }]);
    }
  });

  it("is not ready once readiness has failed, yet lives", async () => {
    const served = await serve();
    served.server.failReadiness();
    const answer = await call(served, "GET", "/readyz");
    expectError(answer, 503, "unavailable");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await call(served, "GET", "/healthz")).status).toBe(200);
  });

  it("asks the database once for many probes", async () => {
    let asked = 0;
    const counting = Object.create(own.database) as Database;
    counting.transaction = (session, work) => {
      asked += 1;
      return own.database.transaction(session, work);
    };
    const served = await serve(undefined, {}, counting);
    await Promise.all(Array.from({ length: 20 }, () => call(served, "GET", "/readyz")));
    await call(served, "GET", "/readyz");
    expect(asked).toBe(1);
  });
});

describe("while the database is away", () => {
  it("answers 503, lives, shows the other metrics, and serves again once it is back", async () => {
    const proxied = await createTestDatabase();
    const proxy = await openDatabaseProxy(proxied.url);
    atEnd(() => proxy.close());
    const database = await Database.connect({ url: proxy.url, poolSize: 4, log: silent });
    atEnd(() => database.close());
    const api = await startApi({ notify: false }, { ...proxied, url: proxy.url, database });
    const { headers } = await api.member();
    expect((await call(api, "GET", "/readyz")).status).toBe(200);
    expect(await metricsOf(api)).toContain('atlas_jobs{status="queued"} 0');

    proxy.set("away");
    const refused = await call(api, "GET", "/v1/jobs/list", headers);
    expectError(refused, 503, "unavailable");
    expect(refused.headers.get("retry-after")).toBe("2");
    expectError(await call(api, "POST", "/v1/jobs", headers, { jobType: "A" }), 503, "unavailable");
    await until(async () => (await call(api, "GET", "/readyz")).status === 503, { boundMs: 3_000 });
    expect((await call(api, "GET", "/healthz")).status).toBe(200);
    const metrics = await metricsOf(api);
    expect(metrics).toContain("process_cpu_seconds_total");
    expect(metrics).not.toContain("atlas_jobs{");

    proxy.set("there");
    await until(async () => (await call(api, "GET", "/readyz")).status === 200, { boundMs: 5_000 });
    expect((await call(api, "GET", "/v1/jobs/list", headers)).status).toBe(200);
  });

  it("bounds how long readiness and metrics wait for one that hangs", async () => {
    const proxy = await openDatabaseProxy(own.url);
    const database = await Database.connect({ url: proxy.url, poolSize: 4, log: silent });
    const served = await serve(undefined, {}, database);
    proxy.set("hang");
    const begun = performance.now();
    const [ready, metrics] = await Promise.all([call(served, "GET", "/readyz"), metricsOf(served)]);
    expectError(ready, 503, "unavailable");
    expect(metrics).toContain("process_cpu_seconds_total");
    expect(performance.now() - begun).toBeLessThan(4_000);
    await database.close();
    await proxy.close();
  });
});

describe("metrics", () => {
  it("count the jobs once for scrapes that come together, and anew for the next", async () => {
    let counted = 0;
    const counting = Object.create(own.database) as Database;
    counting.transaction = (session, work) => {
      counted += 1;
      return own.database.transaction(session, work);
    };
    const served = await serve(undefined, {}, counting);
    const scrapes = await Promise.all(Array.from({ length: 50 }, () => metricsOf(served)));
    expect(counted).toBeLessThan(25);
    expect(new Set(scrapes.map((scrape) => scrape.includes('atlas_jobs{status="queued"} ')))).toEqual(new Set([true]));
    const before = counted;
    await metricsOf(served);
    expect(counted).toBe(before + 1);
  });

  it("count requests by route and never by path, and jobs by status", async () => {
    const api = await startApi();
    const member = await api.member();
    const create = await call(api, "POST", "/v1/jobs", member.headers, { jobType: "TEST" });
    await call(api, "POST", `/v1/jobs/${create.body.id}/cancel`, member.headers);
    await call(api, "POST", "/v1/jobs", member.headers, "{");
    await call(api, "GET", `/v1/jobs/${create.body.id}`);
    await call(api, "GET", `/nowhere/${create.body.id}`);
    const response = await fetch(`${api.url}/metrics`);
    const text = await response.text();
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=/);
    for (const [method, route, status] of [
      ["POST", "/v1/jobs", 200],
      ["POST", "/v1/jobs/:id/cancel", 200],
      ["POST", "/v1/jobs", 400],
      ["GET", "/v1/jobs/:id", 401],
      ["GET", "other", 404],
    ] as const) {
      const labels = `method="${method}",route="${route}",status="${status}"`;
      expect(text).toContain(`atlas_http_request_duration_seconds_count{${labels}} 1`);
    }
    expect(text).not.toContain(create.body.id);
    expect(text).toContain('atlas_jobs{status="queued"} 0');
    expect(text).toContain('atlas_jobs{status="canceled"} 1');
  });

  it("read the worker and the feed at each scrape", async () => {
    const metrics = createMetrics(own.database);
    const worker = { running: 1, stats: { claimed: 3, completed: 2 } };
    const tail = { size: 4 };
    metrics.watchWorker(worker);
    metrics.watchFeed({ tail, feedDelay: { current: null } });
    expect((await metrics.text()).body).toContain("atlas_worker_running_jobs 1");
    Object.assign(worker, { running: 2, stats: { claimed: 5, completed: 2 } });
    tail.size = 9;
    const { body } = await metrics.text();
    expect(body).toContain("atlas_worker_running_jobs 2");
    expect(body).toContain('atlas_worker_attempts_total{outcome="claimed"} 5');
    expect(body).toContain("atlas_subscriptions 9");
  });
});

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

describe("listen", () => {
  it("says which setting is at fault when the port is taken", async () => {
    const { port } = await serve();
    const second = serve(undefined, { port });
    await expect(second).rejects.toThrow(ConfigError);
    await expect(second).rejects.toThrow(new RegExp(`PORT ${port}.*EADDRINUSE`));
  });
});

describe("close", () => {
  /** A server whose requests wait until they are let go. */
  async function serveWaiting(answer: Buffer): Promise<Served & { arrived: Promise<void>; letGo: () => void }> {
    const arrived = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const served = await serve(async (_request, response) => {
      arrived.resolve();
      await go.promise;
      response.type("application/octet-stream").end(answer);
    });
    return { ...served, arrived: arrived.promise, letGo: go.resolve };
  }

  const agent = new http.Agent({ keepAlive: true });
  afterAll(() => agent.destroy());

  async function get(url: string): Promise<http.IncomingMessage> {
    const request = http.get(url, { agent });
    return ((await once(request, "response")) as [http.IncomingMessage])[0];
  }

  async function lengthOf(response: http.IncomingMessage): Promise<number> {
    let length = 0;
    for await (const chunk of response) length += (chunk as Buffer).length;
    return length;
  }

  it("lets a request in flight end, tells its client not to come back, and does not wait for keep-alive", async () => {
    const { url, server, arrived, letGo } = await serveWaiting(Buffer.from("done"));
    const answer = get(`${url}/graphql`);
    await arrived;
    const begun = performance.now();
    const closed = server.close(20_000);
    letGo();
    const response = await answer;
    expect(response.headers.connection).toBe("close");
    expect(await lengthOf(response)).toBe(4);
    await closed;
    // A connection kept alive would last for 75 s.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it("does not cut off an answer that is still on its way to a slow reader", async () => {
    const size = 40 * 1024 * 1024;
    const { url, server, letGo } = await serveWaiting(Buffer.alloc(size));
    letGo();
    const response = await get(`${url}/graphql`);
    const closed = server.close(20_000);
    // The server has had its turn to end the connection before anything is read.
    for (let turns = 0; turns < 20; turns += 1) await nextTurn();
    expect(await lengthOf(response)).toBe(size);
    const read = performance.now();
    await closed;
    // Its answer was begun before the close, so the connection was promised to be kept alive, for 75 s.
    expect(performance.now() - read).toBeLessThan(5_000);
  });

  it("answers a request that is on its way, and tells its client not to come back", async () => {
    const { url, server } = await serve();
    await lengthOf(await get(`${url}/healthz`));
    const closed = server.close(20_000);
    // On the connection that was idle when the close began.
    const response = await get(`${url}/healthz`);
    expect([response.statusCode, response.headers.connection]).toEqual([200, "close"]);
    await lengthOf(response);
    await closed;
  });

  it("keeps idle connections longer than proxies do", async () => {
    const { url } = await serve();
    const { headers } = await fetch(`${url}/healthz`);
    // nginx, and the load balancers of clouds, keep theirs for 60 s.
    expect(Number(/timeout=(\d+)/.exec(headers.get("keep-alive") ?? "")?.[1])).toBeGreaterThan(60);
  });

  it("ends idle connections after a moment and takes no more", async () => {
    const { url, port, server } = await serve();
    const idle = net.connect(port, "127.0.0.1");
    await once(idle, "connect");
    await call({ url }, "GET", "/healthz");
    const ended = once(idle.resume(), "end");
    await server.close(20_000);
    await ended;
    idle.destroy();
    const late = net.connect(port, "127.0.0.1");
    await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
  });

  it("gives up after the grace", async () => {
    const { url, server, arrived } = await serveWaiting(Buffer.alloc(0));
    const answer = get(`${url}/graphql`).catch((error: Error) => error.message);
    await arrived;
    await server.close(50);
    expect(await answer).toBe("socket hang up");
  });
});

async function metricsOf({ url }: { url: string }): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}
