import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createAtlasClient } from "../../src/client/index.js";
import { Database } from "../../src/database/database.js";
import type { TestMember } from "../support/api.js";
import { asSuperuser, silent } from "../support/database.js";
import { debianPrograms, type DebianPostgresql, startDebianPostgresql } from "../support/debian-postgresql.js";
import { readEventStream } from "../support/event-stream.js";
import { ask } from "../support/graphql.js";
import { createHostileDatabase, type HostileDatabase } from "../support/hostile-settings.js";
import { inheritedVariables } from "../support/inherited-variables.js";
import { type Service, serviceMember, startService } from "../support/service.js";
import { until } from "../support/until.js";

const JOBS = 20;
/** Every plan in the server's log, those within functions, too. */
const LOG_PLANS = [
  "session_preload_libraries = 'auto_explain'",
  "auto_explain.log_min_duration = 0",
  "auto_explain.log_nested_statements = on",
];

let hostile: HostileDatabase;
let dataDir: string;
let database: Database;
let member: TestMember;
const services: Service[] = [];

/** Makes the database as an operator does, by the command line, and starts an API and a worker on it. */
async function open(serverUrl: string): Promise<void> {
  hostile = await createHostileDatabase(serverUrl);
  dataDir = await mkdtemp(join(tmpdir(), "atlas-hostile-"));
  expect(await cli("migrate")).toHaveProperty("migrated.length", expect.any(Number));
  expect(await cli("migrate")).toEqual({ migrated: [] });
  database = await Database.connect({ url: hostile.url, poolSize: 2, log: silent });
  member = await serviceMember({ database });
  const variables = { DATABASE_URL: hostile.url, DATA_DIR: dataDir, CREATE_LIMIT_PER_MINUTE: "1000" };
  services.push(...(await Promise.all(["api", "worker"].map((role) => startService({ ...variables, ROLE: role })))));
}

async function close(): Promise<void> {
  await Promise.all(services.splice(0).map((service) => service.end("SIGKILL")));
  await database.close();
  await hostile.drop();
  await rm(dataDir, { recursive: true });
}

async function cli(...args: string[]): Promise<unknown> {
  const env = { ...inheritedVariables(), DATABASE_URL: hostile.url, DATA_DIR: dataDir };
  const { stdout } = await promisify(execFile)(process.execPath, ["dist/cli/main.js", ...args, "--json"], { env });
  return JSON.parse(stdout);
}

function itServes(): void {
  it("takes the operator's commands", async () => {
    const [tenant, user] = [randomUUID(), randomUUID()];
    expect(await cli("tenant", "create", "--name", "Grüße", "--id", tenant)).toEqual({ id: tenant, name: "Grüße" });
    expect(await cli("member", "add", "--tenant", tenant, "--user", user)).toMatchObject({ seat: "free_beta" });
    expect(await cli("member", "remove", "--tenant", tenant, "--user", user)).toMatchObject({ userId: user });
  });

  it("creates over REST and GraphQL, works, and streams each change over both", async () => {
    const [api] = services as [Service];
    const client = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: member.token });
    const { eventCursor } = await client.list();
    const stream = await readEventStream(api, member.headers, `?after=${eventCursor}`);
    const input = { to: "ü@example.com", subject: "a\\b 'c' \"d\"", big: 9007199254740991, fraction: 0.1 };
    const ids = await Promise.all(
      Array.from({ length: JOBS }, async (_, n) => {
        if (n % 2 === 0) return (await client.enqueue({ jobType: "EMAIL_SEND", input })).job.id;
        const body = JSON.stringify({ jobType: "EMAIL_SEND", input });
        const response = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body });
        return ((await response.json()) as { id: string }).id;
      }),
    );
    const completed = new Set<string>();
    for await (const { jobId, status } of client.watch({ after: eventCursor })) {
      if (status === "COMPLETED" && completed.add(jobId).size === JOBS) break;
    }
    expect(completed).toEqual(new Set(ids));
    await stream.count(3 * JOBS);
    stream.stop();

    const { jobs, totalCount } = await client.list({ filter: { createdAfter: new Date(Date.now() - 60_000) } });
    expect(totalCount).toBe(JOBS);
    for (const job of jobs) {
      expect(job).toMatchObject({ status: "COMPLETED", version: 3, attempt: 1, input, createdBy: member.userId });
      for (const instant of [job.createdAt, job.startedAt, job.finishedAt, job.updatedAt, job.runAt]) {
        expect(Math.abs(Date.now() - Date.parse(instant ?? ""))).toBeLessThan(60_000);
      }
    }
  });

  it("lists, cancels, retries and deletes", async () => {
    const [api] = services as [Service];
    const asked = <T>(query: string, variables = {}): Promise<T> => ask<T>(api, member, query, variables);
    const runAt = new Date(Date.now() + 3_600_000).toISOString();
    const created = await asked<{ job: { id: string; runAt: string } }>(
      "mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id runAt } } }",
      { input: { jobType: "LATER", runAt, priority: 5 } },
    );
    expect(created.job.runAt).toBe(runAt);
    const { id } = created.job;
    expect(await asked("mutation ($id: ID!) { cancelJob(id: $id) { job { status } } }", { id })).toEqual({
      job: { status: "CANCELED" },
    });
    expect(await asked("mutation ($id: ID!) { retryJob(id: $id) { job { status } } }", { id })).toEqual({
      job: { status: "QUEUED" },
    });
    const response = await fetch(`${api.url}/v1/jobs/list`, { headers: member.headers });
    const { items } = (await response.json()) as { items: { id: string; createdAt: string }[] };
    expect(items[0]).toMatchObject({ id, jobType: "LATER", status: "queued", createdAt: expect.stringMatching(/Z$/) });
    const removed = await fetch(`${api.url}/v1/jobs/${id}`, { method: "DELETE", headers: member.headers });
    expect(removed.status).toBe(200);
    expect(await asked("{ viewer { dailyJobs { used } } }")).toMatchObject({ dailyJobs: { used: expect.any(Number) } });
    expect(await asked("query ($id: ID!) { job(id: $id) { id } }", { id })).toBeNull();
  });

  it("counts the jobs, is ready, and has nothing to complain of", async () => {
    for (const { url, output } of services) {
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
      await until(async () =>
        (await (await fetch(`${url}/metrics`)).text()).includes('atlas_jobs{status="completed"}'),
      );
      expect(output()).not.toMatch(/"level":"(warn|error|fatal)"/);
    }
  });

  it("has its tables where they belong, and what it has answered on the disk", async () => {
    const [found] = await asSuperuser(
      `select (select count(*)::int from public.migrations) > 3 as migrated, to_regclass('decoys.tenants') as lost`,
      hostile.superuserUrl,
    );
    expect(found).toEqual({ migrated: true, lost: null });
    const session = { role: "worker", actor: "system" } as const;
    expect(await database.transaction(session, (tx) => tx.query("show synchronous_commit"))).toEqual([
      { synchronous_commit: "on" },
    ]);
  });

  it("drains", async () => {
    expect(await Promise.all(services.map((service) => service.end("SIGTERM")))).toEqual([0, 0]);
  });
}

describe("under a login and a database where everything is set badly, on the embedded PostgreSQL", () => {
  beforeAll(() => open(process.env["ATLAS_TEST_SUPERUSER_URL"] ?? ""));
  afterAll(close);
  itServes();
});

(debianPrograms === null ? describe.skip : describe)("the same on Debian's PostgreSQL, as installed", () => {
  let server: DebianPostgresql;
  beforeAll(async () => {
    server = await startDebianPostgresql(LOG_PLANS);
    await open(server.superuserUrl);
  });
  afterAll(async () => {
    await close();
    await server.remove();
  });
  itServes();

  it("has no statement compiled", async () => {
    const log = await server.log();
    for (const name of ["queue.enqueue", "queue.claim", "queue.beat", "feed.tail", "select max(position)"])
      expect(log).toContain(name);
    const entries = log.split(/^(?=\d{4}-\d\d-\d\d )/m);
    expect(entries.filter((entry) => /^\s*JIT:/m.test(entry))).toEqual([]);
  });
});
