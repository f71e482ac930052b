import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AtlasClient, createAtlasClient } from "../../src/client/index.js";
import type { TestMember } from "../support/api.js";
import { asSuperuser, useDatabase } from "../support/database.js";
import { type LaterVersion, plantVersion } from "../support/later-version.js";
import { type Service, serviceMember, startService } from "../support/service.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

/** What a migration may do while code that does not know it goes on. */
const ADDS = `
  alter table jobs add column later text, add column later_count integer not null default 0;
  alter table job_events add column later text;
  alter table installation add column later text;
  create table later (id uuid primary key);`;
/** And what it may not, without saying so. */
const TAKES = "alter table jobs rename column run_at to starts_at; update installation set oldest_code = 9002";

const own = useDatabase();
let member: TestMember;
let folder: string;
let next: LaterVersion;
let last: LaterVersion;

beforeAll(async () => {
  member = await serviceMember(own);
  folder = await mkdtemp(join(tmpdir(), "atlas-upgrade-"));
  atEnd(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "LATER.js"), "export default () => 'by the later version';\n");
  next = await plantVersion(9001, ADDS);
  atEnd(() => next.remove());
  last = await plantVersion(9002, TAKES, next);
  atEnd(() => last.remove());
});

async function start(role: "api" | "worker", version?: LaterVersion): Promise<Service> {
  const variables = { DATABASE_URL: own.url, DATA_DIR: folder, ROLE: role, CREATE_LIMIT_PER_MINUTE: "0" };
  const service = await startService({ ...variables, ...(version && { HANDLERS: folder }) }, version?.code);
  atEnd(() => service.end("SIGKILL"));
  return service;
}

const clientOf = ({ url }: Service): AtlasClient =>
  createAtlasClient({ url, tenantId: member.tenantId, token: member.token });
const migrated = async () =>
  (await asSuperuser("select name from migrations where name > '9'", own.superuserUrl)).length;

/** Enqueues through one process and watches through another until the jobs have completed. @returns the last cursor. */
async function work(through: Service, watched: Service, after: string, jobTypes: readonly string[]): Promise<string> {
  const ids = new Set<string>();
  for (const jobType of jobTypes)
    ids.add((await clientOf(through).enqueue({ jobType, input: { to: "a@example.com" } })).job.id);
  const versions = new Map<string, number>();
  for await (const change of clientOf(watched).watch({ after, filter: { jobType: [...jobTypes] } })) {
    // A job of an earlier call would mean that a cursor of the other version led back, a version left out that it led on.
    expect(ids).toContain(change.jobId);
    expect(change.version).toBe((versions.get(change.jobId) ?? 0) + 1);
    versions.set(change.jobId, change.version);
    if (change.status === "COMPLETED") ids.delete(change.jobId);
    if (ids.size === 0) return change.cursor;
  }
  throw new Error("the watch has ended");
}

describe("a rolling upgrade", () => {
  it("lets both versions work side by side, their watchers move between them, and either restart", async () => {
    const mails = Array<string>(5).fill("EMAIL_SEND");
    const [oldApi, oldWorker] = await Promise.all([start("api"), start("worker")]);
    let cursor = (await clientOf(oldApi).list()).eventCursor;
    cursor = await work(oldApi, oldApi, cursor, mails);
    expect(await migrated()).toBe(0);

    const newApi = await start("api", next);
    expect(await migrated()).toBe(1);
    cursor = await work(newApi, oldApi, cursor, mails);
    cursor = await work(oldApi, newApi, cursor, mails);
    const newWorker = await start("worker", next);
    expect(await oldWorker.end("SIGTERM")).toBe(0);
    cursor = await work(oldApi, newApi, cursor, mails);

    // Old code starts, as when it is rolled back.
    expect(await newWorker.end("SIGTERM")).toBe(0);
    expect(await oldApi.end("SIGTERM")).toBe(0);
    const [restarted] = await Promise.all([start("api"), start("worker")]);
    cursor = await work(newApi, restarted, cursor, mails);
    await work(restarted, newApi, cursor, mails);
  });

  it("has a job wait that only a newer worker can do, and an engine run with such a step", async () => {
    const [api, oldWorker] = await Promise.all([start("api", next), start("worker")]);
    const steps = ["EMAIL_SEND", "LATER"].map((jobType) => ({ jobType, input: { to: "a@example.com" } }));
    const created = [
      await clientOf(api).enqueue({ jobType: "LATER" }),
      await clientOf(api).enqueue({ jobType: "ENGINE_RUN", input: { steps } }),
    ];
    const found = async () => (await clientOf(api).list({ filter: { jobType: ["LATER", "ENGINE_RUN"] } })).jobs;
    const [run] = await until(async () => {
      const waiting = (await found()).filter(({ error }) => error?.code === "unknown_job_type");
      return waiting.length === 1 && waiting;
    });
    expect(run).toMatchObject({ id: created[1]?.job.id, status: "QUEUED", attempt: 1, maxAttempts: 5 });

    await start("worker", next);
    expect(await oldWorker.end("SIGTERM")).toBe(0);
    // The old worker may have had the run once more.
    await until(async () => (await found()).every(({ status }) => status === "COMPLETED"), { boundMs: 40_000 });
  });

  it("refuses old code once a migration says that it cannot run", async () => {
    const newest = await start("api", last);
    expect(await migrated()).toBe(2);
    const refused = /Cannot start; the database is newer than this version of Atlas Jobs: it has 9002-planted/;
    await expect(start("api")).rejects.toThrow(refused);
    await expect(start("worker", next)).rejects.toThrow(refused);
    expect((await fetch(`${newest.url}/readyz`)).status).toBe(200);
  });
});
