import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asSuperuser, useDatabase } from "../support/database.js";
import { type Service, serviceMember, startService } from "../support/service.js";
import type { TestMember } from "../support/api.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

/**
 * What blocks the event loop waits for the test, not for time: until a file is there. It sleeps rather than computes: the
 * event loop turns as little, and the tests beside this one have the processor.
 */
const HANDLERS = {
  "BLOCK.mjs": `
    import { existsSync } from "node:fs";
    const cell = new Int32Array(new SharedArrayBuffer(4));
    export default ({ until }) => {
      while (!existsSync(until)) Atomics.wait(cell, 0, 0, 20);
      return "let go";
    };`,
  "WAIT.mjs": `
    import { existsSync } from "node:fs";
    export default async ({ until }) => {
      while (!existsSync(until)) await new Promise((go) => setTimeout(go, 20));
      return "waited";
    };`,
  "FOREVER.mjs": `
    const cell = new Int32Array(new SharedArrayBuffer(4));
    export default () => Atomics.wait(cell, 0, 0);`,
  "COMPUTE.mjs": "export default () => { for (;;); };",
  "EXIT.mjs": "export default () => process.exit(3);",
  "REJECT.mjs": `
    export default async () => {
      Promise.reject(new Error("nobody listens"));
      await new Promise(() => undefined);
    };`,
  "APART.mjs": `
    import { writeFileSync } from "node:fs";
    export const isolate = "process";
    export default ({ file }) => {
      writeFileSync(file, String(process.pid));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };`,
  "FILL.mjs": `
    export const isolate = "process";
    export default () => {
      for (const all = []; ; ) all.push(Array.from({ length: 10_000 }, Math.random));
    };`,
  "LEAVE.mjs": `
    export default async (_, { signal }) => {
      await new Promise((stopped) => signal.addEventListener("abort", stopped));
      process.exit(3);
    };`,
  "QUICK.mjs": "export default () => 'quick';",
};

const own = useDatabase();
let member: TestMember;
let folder: string;
let service: Service;
const restart = async (variables: Record<string, string> = {}): Promise<void> => {
  await service?.end("SIGKILL");
  service = await startService({
    DATABASE_URL: own.url,
    DATA_DIR: folder,
    HANDLERS: folder,
    ROLE: "all",
    ...variables,
  });
};
beforeAll(async () => {
  member = await serviceMember(own);
  folder = await mkdtemp(join(tmpdir(), "atlas-blocked-"));
  atEnd(() => rm(folder, { recursive: true }));
  for (const [name, source] of Object.entries(HANDLERS)) await writeFile(join(folder, name), source);
  await restart();
  atEnd(() => service.end("SIGKILL"));
});

interface Seen {
  id: string;
  status: string;
  attempt: number;
  output: unknown;
  error: { code: string; message: string } | null;
}

const FIELDS = "id status attempt output error { code message }";

async function ask<T>(query: string, variables: Record<string, unknown>): Promise<T> {
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${service.url}/graphql`, { method: "POST", headers: member.headers, body });
  return ((await response.json()) as { data: T }).data;
}

async function create(jobType: string, input: Record<string, unknown> = {}): Promise<string> {
  const query = `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }`;
  const asked = { jobType, ...input };
  const { createJob } = await ask<{ createJob: { job: Seen } }>(query, { input: asked });
  return createJob.job.id;
}

const jobOf = async (id: string): Promise<Seen> =>
  (await ask<{ job: Seen }>(`query ($id: ID!) { job(id: $id) { ${FIELDS} } }`, { id })).job;

const jobThat = (id: string, fits: (job: Seen) => boolean): Promise<Seen> =>
  until(async () => [await jobOf(id)].find(fits), { what: `the job's end\n${service.output()}` });

/** The service's lines so far that say this. */
const lines = (msg: string): Record<string, unknown>[] =>
  service
    .output()
    .split("\n")
    .filter((line) => line.includes(`"msg":"${msg}`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const metric = async (name: string): Promise<string | undefined> =>
  (await (await fetch(`${service.url}/metrics`)).text()).split("\n").find((line) => line.startsWith(`${name} `));

describe("a handler that blocks the worker's event loop", () => {
  it("holds up no request, and is named in a warning", async () => {
    const letGo = join(folder, "let-go");
    const id = await create("BLOCK", { input: { until: letGo } });
    await jobThat(id, ({ status }) => status === "RUNNING");
    const [line] = await until(() =>
      [lines("a handler blocks the worker's event loop")].find(({ length }) => length > 0),
    );
    expect(line).toMatchObject({ level: "warn", role: "all", jobs: [{ jobId: id, jobType: "BLOCK", attempt: 1 }] });
    expect(line?.["host"]).toEqual(expect.any(String));
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    expect(await metric("atlas_worker_running_jobs")).toBe("atlas_worker_running_jobs 1");
    expect((await jobOf(id)).status).toBe("RUNNING");

    await writeFile(letGo, "");
    expect(await jobThat(id, ({ status }) => status !== "RUNNING")).toMatchObject({
      status: "COMPLETED",
      output: "let go",
    });
    await until(() => lines("the worker's event loop turns again").length === 1);
  });

  it("costs the jobs beside it no attempt when it is ended", async () => {
    const letGo = join(folder, "let-wait-go");
    const beside = await create("WAIT", { input: { until: letGo }, maxAttempts: 1 });
    await jobThat(beside, ({ status }) => status === "RUNNING");
    const id = await create("FOREVER", { timeoutMs: 1_000, maxAttempts: 1 });
    await jobThat(id, ({ status }) => status === "FAILED");
    await writeFile(letGo, "");
    expect(await jobThat(beside, ({ status }) => status === "COMPLETED" || status === "FAILED")).toMatchObject({
      attempt: 2,
      output: "waited",
    });
  });

  it("is ended past its timeout, and the jobs behind it run", async () => {
    const id = await create("COMPUTE", { timeoutMs: 1_000, maxAttempts: 1 });
    expect(await jobThat(id, ({ status }) => status === "FAILED")).toMatchObject({
      attempt: 1,
      error: { code: "timeout" },
    });
    const next = await create("QUICK");
    expect(await jobThat(next, ({ status }) => status === "COMPLETED")).toMatchObject({ output: "quick" });
  });
});

describe("a handler that blocks a process of its own", () => {
  /** One that has ended and that nobody has asked about is listed as Z. */
  const isAlive = (pid: number): boolean =>
    /^[^Z]/.test(spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim());
  const begin = async (name: string, options: Record<string, unknown> = {}) => {
    const file = join(folder, name);
    const id = await create("APART", { input: { file }, maxAttempts: 1, ...options });
    return { id, pid: await until(async () => Number(await readFile(file, "utf8").catch(() => "")) || null) };
  };

  it("holds up nothing, and is ended at its timeout", async () => {
    const { id, pid } = await begin("first", { timeoutMs: 2_000 });
    const next = await create("QUICK");
    expect(await jobThat(next, ({ status }) => status === "COMPLETED")).toMatchObject({ output: "quick" });
    expect((await jobOf(id)).status).toBe("RUNNING");
    expect(await jobThat(id, ({ status }) => status === "FAILED")).toMatchObject({ error: { code: "timeout" } });
    expect(isAlive(pid)).toBe(false);
  });

  it("ends with the worker's thread", async () => {
    const { id, pid } = await begin("second");
    await create("EXIT", { maxAttempts: 1 });
    expect(await jobThat(id, ({ status }) => status === "FAILED")).toMatchObject({ error: { code: "worker_lost" } });
    await until(() => !isAlive(pid));
  });

  it("ends alone when it runs out of memory", async () => {
    await restart({ NODE_OPTIONS: "--max-old-space-size=200" });
    const id = await create("FILL", { maxAttempts: 1 });
    const { error } = await jobThat(id, ({ status }) => status === "FAILED");
    expect(error).toEqual({
      code: "process_ended",
      message: expect.stringMatching(/SIGABRT.*out of memory$/) as string,
    });
    expect(lines("the worker's thread has ended")).toEqual([]);
  });

  it("ends with a service that is killed", async () => {
    const { pid } = await begin("third");
    await restart();
    await until(() => !isAlive(pid));
  });
});

it.each([
  ["ends its thread", "EXIT"],
  ["leaves a rejection unheard", "REJECT"],
])("a handler that %s fails its attempt, and the worker goes on", async (_, jobType) => {
  const id = await create(jobType, { maxAttempts: 1 });
  expect(await jobThat(id, ({ status }) => status === "FAILED")).toMatchObject({ error: { code: "worker_lost" } });
  const next = await create("QUICK");
  expect(await jobThat(next, ({ status }) => status === "COMPLETED")).toMatchObject({ output: "quick" });
  expect(lines("the worker's thread has ended, and is started again").length).toBeGreaterThan(0);
  expect(service.child.exitCode).toBeNull();
});

it("a handler that ends its thread while the service shuts down fails its attempt too", async () => {
  await restart({ SHUTDOWN_GRACE_MS: "10" });
  const id = await create("LEAVE", { maxAttempts: 1 });
  await jobThat(id, ({ status }) => status === "RUNNING");
  expect(await service.end("SIGTERM")).toBe(0);
  const rows = await asSuperuser(`select error ->> 'code' as code from jobs where id = '${id}'`, own.superuserUrl);
  expect(rows).toEqual([{ code: "worker_lost" }]);
});

it("a worker whose handlers load no more is started more and more rarely, until they do", async () => {
  await restart();
  const bad = join(folder, "BAD.mjs");
  await writeFile(bad, "throw new Error('half written');");
  await create("EXIT", { maxAttempts: 1 });
  const ends = await until(() => [lines("the worker's thread has ended")].find(({ length }) => length > 3));
  const [, , third = 0, fourth = 0] = ends.map(({ time }) => Date.parse(String(time)));
  // After one second, two, four.
  expect(fourth - third).toBeGreaterThan(3_900);
  await rm(bad);
  const next = await create("QUICK");
  expect(await jobThat(next, ({ status }) => status === "COMPLETED")).toMatchObject({ output: "quick" });
});
