import http, { type IncomingMessage } from "node:http";
import { once } from "node:events";
import type { Config } from "../src/config.js";
import { startApi, type TestApi } from "./support/api.js";
import { call, expectError } from "./rest/call.js";

let api: TestApi;

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async function open(settings: Partial<Config> = {}): Promise<{ response: Response; html: string }> {
  api = await startApi(settings);
  const response = await fetch(api.url, { headers: { accept: BROWSER } });
  return { response, html: await response.text() };
}

describe("the front page", () => {
  it("shows a browser what runs, leads to its parts, and has lines to paste that hold no secret", async () => {
    const { response, html } = await open();
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(response.headers.get("content-security-policy")).toBe("default-src 'none';frame-ancestors 'none'");
    expect(html).not.toMatch(/<script|<style|style=|src=|eyJ/);
    expect(html).toMatch(/Version \d+\.\d+\.\d+ runs here as API and worker \(ROLE=all\)/);
    const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, path]) => path ?? "");
    expect(links).toEqual(["/graphql", "/healthz", "/readyz", "/metrics"]);
    for (const path of links) expect((await fetch(api.url + path, { headers: { accept: BROWSER } })).status).toBe(200);
    expect(html).toContain(`curl -sS ${api.url}/v1/jobs `);
    expect(html).toContain("<pre>\nexport TENANT=");
  });

  it("tells the command line where the service's key is, when that is not where it would look", async () => {
    const { html } = await open({ dataDir: "/srv/it's <here> & there" });
    expect(html).toContain(`export DATA_DIR='/srv/it'\\''s &lt;here> &amp; there'; export TENANT=`);
  });

  it("names no demo tenant where there is none, and no API where there is none", async () => {
    const { html } = await open({ databaseUrl: "postgres://elsewhere" });
    expect(html).toContain("export TENANT=YOUR_TENANT TOKEN=");
    const worker = await open({ role: "worker" });
    expect(worker.html).toContain("a worker (ROLE=worker)");
    expect(worker.html).not.toMatch(/graphql|curl/);
  });

  it("says in production no more than a name", async () => {
    const { html } = await open({ production: true });
    expect(html.replace(/<head>|<meta[^>]*>|\n/g, "")).toBe(
      '<!doctype html><html lang="en"><title>Atlas Jobs</title><h1>Atlas Jobs</h1></html>',
    );
  });

  it("repeats nothing of a Host that is none", async () => {
    await open();
    const request = http.get(`${api.url}/`, { headers: { accept: BROWSER, host: '"><script>alert(1)</script>' } });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const chunks = (await response.setEncoding("utf8").toArray()) as string[];
    expect(chunks.join("")).toContain("<h1>Atlas Jobs</h1>");
    expect(chunks.join("")).not.toContain("alert");
  });

  it("is for browsers: programs are told that there is no such route", async () => {
    await open();
    for (const accept of ["*/*", "application/json", "application/json, text/html"]) {
      expectError(await call(api, "GET", "/", { accept }), 404, "not_found");
    }
    expectError(await call(api, "POST", "/", { accept: BROWSER }), 405, "method_not_allowed");
  });
});
