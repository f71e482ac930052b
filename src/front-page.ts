import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { RequestHandler } from "express";
import type { Config } from "./config.js";
import { DEMO } from "./demo.js";

type PageConfig = Pick<Config, "role" | "production" | "databaseUrl" | "dataDir">;

/**
 * The page that a browser shows at `/`: what runs, links to its parts, and lines to paste; in production the name alone. It has no
 * script and no style, so the content security policy of all answers fits it. A request that does not accept HTML is passed on.
 */
export function createFrontPage(config: PageConfig): RequestHandler {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return (request, response, next) => {
    response.vary("Accept");
    if (request.accepts(["json", "html"]) !== "html") {
      next("route");
      return;
    }
    const url = URL.parse(`${request.protocol}://${request.host}`)?.origin ?? "";
    response.type("html").send(page(config.production ? "" : details(config, version, url)));
  };
}

function page(rest: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Atlas Jobs</title>
<h1>Atlas Jobs</h1>
${rest}</html>
`;
}

function details({ role, databaseUrl, dataDir }: PageConfig, version: string, url: string): string {
  const tenant = databaseUrl === null ? DEMO : { tenantId: "YOUR_TENANT", userId: "YOUR_USER" };
  const links = ["/healthz", "/readyz", "/metrics"].map((path) => `<li><a href="${path}">${path}</a>`);
  if (role !== "worker") links.unshift('<li><a href="/graphql">GraphiQL</a>');
  return `<p>Version ${version} runs here as ${WHAT[role]}. Its documentation is README.md and docs/ in its folder.</p>
<ul>
${links.join("\n")}
</ul>
${role === "worker" ? "" : lines(url, dataDir, tenant)}`;
}

const WHAT: Record<Config["role"], string> = {
  all: "API and worker (ROLE=all)",
  api: "an API (ROLE=api)",
  worker: "a worker (ROLE=worker): the API is elsewhere",
};

/** Lines to paste. They hold no secret: the command line makes the token, for a person who may read the service's key. */
function lines(url: string, dataDir: string, { tenantId, userId }: { tenantId: string; userId: string }): string {
  // The command line finds the service's key by itself where DATA_DIR has its default.
  const where = dataDir === resolve(".data") ? "" : `export DATA_DIR='${escaped(dataDir.replaceAll("'", "'\\''"))}'; `;
  return `<p>Get a token, watch, and once that says “Watching …” create a job, in a terminal in that folder:</p>
<pre>
${where}export TENANT=${tenantId} TOKEN=$(npm run --silent cli -- token --user ${userId})
npm run --silent cli -- watch --url ${url} --tenant $TENANT --token $TOKEN &amp;
curl -sS ${url}/v1/jobs -H "Authorization: Bearer $TOKEN" -H "x-tenant-id: $TENANT" -H "content-type: application/json" -d '{"jobType":"EMAIL_SEND","input":{"to":"test@example.com"}}'
</pre>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
