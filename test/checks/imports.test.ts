import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** A small source that keeps every direction. */
const KEPT = {
  "src/errors.ts": "export const fault = 1;",
  "src/log.ts": "export const log = 1;",
  "src/words.ts": "export const word = 1;\nexport type Word = 1;",
  "src/bounds/text.ts": "export const text = 1;",
  "src/bounds/json.ts": 'import { fault } from "../errors.js";\nexport const json = fault;',
  "src/database/database.ts":
    'import { text } from "../bounds/text.js";\nimport { log } from "../log.js";\nexport const database = [log, text];',
  "src/auth/viewer.ts": 'import { database } from "../database/database.js";\nexport const viewer = database;',
  "src/queue/job.ts":
    'import { database } from "../database/database.js";\nexport const job = database;\nexport type Job = 1;',
  "src/queue/claim.ts": 'import { job } from "./job.js";\nexport const claim = job;',
  "src/queue/job-event.ts": 'import { job } from "./job.js";\nexport const event = job;',
  "src/feed/feed.ts": 'import { event } from "../queue/job-event.js";\nexport const feed = event;',
  "src/handlers/handler.ts": 'import { log } from "../log.js";\nexport const handler = log;',
  "src/services/service.ts": 'import { feed } from "../feed/feed.js";\nexport const service = feed;',
  "src/worker/worker.ts":
    'import { handler } from "../handlers/handler.js";\nimport { claim } from "../queue/claim.js";\nexport const worker = [handler, claim];',
  "src/limits/turns.ts": 'import { fault } from "../errors.js";\nexport const turns = fault;',
  "src/http/sign-in.ts":
    'import { viewer } from "../auth/viewer.js";\nimport { turns } from "../limits/turns.js";\nexport const signIn = [viewer, turns];',
  "src/graphql/api/schema.ts":
    'import type { Job } from "../../queue/job.js";\nimport type { service } from "../../services/service.js";\nexport const schema = [] as (Job | typeof service)[];',
  "src/graphql/admission/admit.ts": 'import { schema } from "../api/schema.js";\nexport const admit = schema;',
  "src/graphql/socket/socket.ts": 'import { admit } from "../admission/admit.js";\nexport const socket = admit;',
  "src/graphql/server.ts":
    'import { signIn } from "../http/sign-in.js";\nimport { service } from "../services/service.js";\nimport { socket } from "./socket/socket.js";\nexport const server = [service, signIn, socket];',
  "src/rest/routes.ts":
    'import { signIn } from "../http/sign-in.js";\nimport { service } from "../services/service.js";\nexport const routes = [signIn, service];',
  "src/surfaces.ts":
    'import { server } from "./graphql/server.js";\nimport { routes } from "./rest/routes.js";\nexport const surfaces = [server, routes];',
  "src/demo.ts": 'import { service } from "./services/service.js";\nexport const demo = service;',
  "src/front-page.ts": 'import { demo } from "./demo.js";\nexport const frontPage = demo;',
  "src/metrics.ts": 'import { job } from "./queue/job.js";\nexport const metrics = job;\nexport type Metrics = 1;',
  "src/server.ts": [
    'import { frontPage } from "./front-page.js";',
    'import { signIn } from "./http/sign-in.js";',
    'import type { Metrics } from "./metrics.js";',
    "export const server = [frontPage, signIn] as Metrics[];",
  ].join("\n"),
  "src/client/jobs.ts": 'import type { Word } from "../words.js";\nexport type Name = Word;',
  "src/main.ts": [
    'import "express";',
    'import { viewer } from "./auth/viewer.js";',
    'import { metrics } from "./metrics.js";',
    'import { server } from "./server.js";',
    'import { surfaces } from "./surfaces.js";',
    'import { worker } from "./worker/worker.js";',
    "export const all = [viewer, metrics, server, surfaces, worker];",
  ].join("\n"),
};

/** File → what is added to it, and the one rule that it breaks. */
const PLANTED: [rule: string, file: string, code: string][] = [
  ["errors-imports", "src/errors.ts", 'export * from "./queue/job.js";'],
  ["words-imports", "src/words.ts", 'export * from "./queue/job.js";'],
  ["bounds-imports", "src/bounds/instants.ts", 'export { log } from "../log.js";'],
  ["bounds-imports", "src/bounds/uuid.ts", 'export { turns } from "../limits/turns.js";'],
  ["database-imports", "src/database/pool.ts", 'export { fault } from "../handlers/handler.js";'],
  ["auth-imports", "src/auth/member.ts", 'export { service } from "../services/service.js";'],
  [
    "queue-imports",
    "src/queue/retry.ts",
    'import type { feed } from "../feed/feed.js";\nexport type Feed = typeof feed;',
  ],
  ["feed-imports", "src/feed/tail.ts", 'export { claim } from "../queue/claim.js";'],
  ["feed-imports", "src/feed/read.ts", 'export { job } from "../queue/job.js";'],
  ["handlers-imports", "src/handlers/mail.ts", 'export { job } from "../queue/job.js";'],
  ["services-imports", "src/services/mail.ts", 'export { handler } from "../handlers/handler.js";'],
  ["worker-imports", "src/worker/loop.ts", 'export const late = () => import("../services/service.js");'],
  ["limits-imports", "src/limits/pace.ts", 'export { log } from "../log.js";'],
  ["limits-imports", "src/limits/policies.ts", 'export { text } from "../bounds/text.js";'],
  ["limits-imports", "src/limits/slots.ts", 'export { viewer } from "../auth/viewer.js";'],
  ["http-imports", "src/http/body.ts", 'export { service } from "../services/service.js";'],
  ["http-imports", "src/http/health.ts", 'export { routes } from "../rest/routes.js";'],
  ["graphql-imports", "src/graphql/other.ts", 'export { routes } from "../rest/routes.js";'],
  ["graphql-imports-types-only", "src/graphql/viewer.ts", 'export { viewer } from "../auth/viewer.js";'],
  ["graphql-api-imports", "src/graphql/api/resolver.ts", 'export { admit } from "../admission/admit.js";'],
  ["graphql-api-imports", "src/graphql/api/context.ts", 'export { signIn } from "../../http/sign-in.js";'],
  [
    "graphql-api-imports-types-only",
    "src/graphql/api/value.ts",
    'import { type Job, job } from "../../queue/job.js";\nexport const one: Job = job;',
  ],
  [
    "graphql-admission-imports",
    "src/graphql/admission/cost.ts",
    'export { service } from "../../services/service.js";',
  ],
  ["graphql-api-imports-types-only", "src/graphql/api/job.ts", 'export { service } from "../../services/service.js";'],
  ["graphql-admission-imports", "src/graphql/admission/json.ts", 'export { json } from "../../bounds/json.js";'],
  ["graphql-admission-imports", "src/graphql/admission/document.ts", 'export { socket } from "../socket/socket.js";'],
  ["graphql-socket-imports", "src/graphql/socket/upgrade.ts", 'export { routes } from "../../rest/routes.js";'],
  [
    "graphql-socket-imports-types-only",
    "src/graphql/socket/events.ts",
    'export { service } from "../../services/service.js";',
  ],
  ["graphql-socket-imports", "src/graphql/socket/flow.ts", 'export { server } from "../server.js";'],
  [
    "rest-imports",
    "src/rest/other.ts",
    'import type { server } from "../graphql/server.js";\nexport type Server = typeof server;',
  ],
  ["rest-imports", "src/rest/live.ts", 'import type { feed } from "../feed/feed.js";\nexport type Feed = typeof feed;'],
  ["rest-imports-types-only", "src/rest/value.ts", 'export { job } from "../queue/job.js";'],
  ["server-imports", "src/server/graphql.ts", 'export { server } from "../graphql/server.js";'],
  [
    "server-imports",
    "src/server/rest.ts",
    'import type { routes } from "../rest/routes.js";\nexport type Routes = typeof routes;',
  ],
  ["server-imports-types-only", "src/server/count.ts", 'export { metrics } from "../metrics.js";'],
  ["surfaces-imports", "src/surfaces/service.ts", 'export { service } from "../services/service.js";'],
  ["front-page-imports", "src/front-page/page.ts", 'export { routes } from "../rest/routes.js";'],
  ["demo-imports", "src/demo/lines.ts", 'export { server } from "../graphql/server.js";'],
  ["metrics-imports", "src/metrics/requests.ts", 'export { routes } from "../rest/routes.js";'],
  ["api-imports", "src/api/all.ts", 'export { surfaces } from "../surfaces.js";'],
  ["main-imports", "src/main/lines.ts", 'export { routes } from "../rest/routes.js";'],
  ["cli-imports", "src/cli/main.ts", 'export { all } from "../main.js";'],
  ["client-imports", "src/client/client.ts", 'export { log } from "../log.js";'],
  ["client-imports-types-only", "src/client/value.ts", 'export { word } from "../words.js";'],
  ["dashboard-imports", "src/dashboard/page.ts", 'export { job } from "../queue/job.js";'],
  ["known-rooms", "src/utils/text.ts", 'export { log } from "../log.js";'],
  ["reads-change-nothing", "src/services/queries.ts", 'export { claim } from "../queue/claim.js";'],
  ["services-imports", "src/services/fixture.ts", 'export { fixture } from "../../test/fixture.js";'],
  ["no-orphans", "src/services/alone.ts", "export const alone = 1;"],
  ["no-unresolvable", "src/services/missing.ts", 'export { nothing } from "./nothing.js";'],
  ["not-to-dev-dep", "src/services/dev.ts", 'export { format } from "prettier";'],
  ["no-non-package-json", "src/services/unlisted.ts", 'export { parse } from "acorn";'],
];

let copy: string;
beforeEach(async () => {
  copy = await mkdtemp(join(tmpdir(), "atlas-imports-"));
  for (const file of [".dependency-cruiser.cjs", "package.json", "tsconfig.json"]) await cp(file, join(copy, file));
  await symlink(resolve("node_modules"), join(copy, "node_modules"));
  await add(KEPT);
});
afterEach(() => rm(copy, { recursive: true }));

async function add(files: Record<string, string>): Promise<void> {
  for (const [file, code] of Object.entries(files)) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await writeFile(join(copy, file), `${code}\n`);
  }
}

/** What `npm run imports` does, with each broken rule and the file that breaks it. */
function check(...options: string[]): Promise<{ failed: boolean; broken: string[]; output: string }> {
  const program = resolve("node_modules/dependency-cruiser/bin/dependency-cruiser.mjs");
  return new Promise((done) => {
    execFile(process.execPath, [program, "src", ...options], { cwd: copy }, (error, stdout, stderr) => {
      const broken = [...stdout.matchAll(/error (\S+): (\S+)/g)].map(([, rule, file]) => `${rule} ${file}`);
      done({ failed: error !== null, broken: broken.toSorted(), output: stdout + stderr });
    });
  });
}

describe("the check of import directions", () => {
  it("passes a source that keeps them", async () => {
    expect(await check()).toMatchObject({
      failed: false,
      output: expect.stringContaining("no dependency violations found"),
    });
  });

  it("names each import that breaks them, and no other", async () => {
    await add(Object.fromEntries(PLANTED.map(([, file, code]) => [file, code])));
    await add({ "test/fixture.ts": "export const fixture = 1;" });
    const { failed, broken } = await check();
    expect(failed).toBe(true);
    expect(broken).toEqual(PLANTED.map(([rule, file]) => `${rule} ${file}`).toSorted());
  });

  it("fails for files that import each other in a circle", async () => {
    await add({
      "src/queue/a.ts": 'import type { B } from "./b.js";\nexport type A = B[];',
      "src/queue/b.ts": 'import type { A } from "./a.js";\nexport type B = A | 1;',
    });
    expect((await check()).broken).toContain("no-circular src/queue/a.ts");
  });

  it("fails when imports are not resolved, instead of finding nothing wrong", async () => {
    const blind =
      "const rules = require('./.dependency-cruiser.cjs');\nmodule.exports = { ...rules, options: { ...rules.options, exclude: 'database' } };";
    await add({ "blind.cjs": blind });
    const { failed, broken } = await check("--config", "blind.cjs");
    expect(failed).toBe(true);
    expect(broken).toContain("main-reaches-the-database src/main.ts");
  });
});
