import { Database } from "../../src/database/database.js";
import { createMetrics } from "../../src/metrics.js";
import { call, expectError } from "../rest/call.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { startApi } from "../support/api.js";
import { createTestDatabase, silent } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { own, serve } from "./server-rig.js";

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

async function metricsOf({ url }: { url: string }): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}
