import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { asSuperuser, useDatabase, SYSTEM } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { type Service, serviceMember, startService } from "../support/service.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { watch } from "../support/watch.js";

const own = useDatabase({ per: "test" });
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "atlas-flow-"));
  atEnd(() => rm(dataDir, { recursive: true }));
});

async function start(role: string, variables: Record<string, string> = {}): Promise<Service> {
  const service = await startService({ DATABASE_URL: own.url, DATA_DIR: dataDir, ROLE: role, ...variables });
  atEnd(() => service.end("SIGKILL"));
  return service;
}

async function post(service: Service, headers: Record<string, string>, body: unknown): Promise<string> {
  const response = await fetch(`${service.url}/v1/jobs`, { method: "POST", headers, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return ((await response.json()) as { id: string }).id;
}

describe("the mission", () => {
  it("sends a mail enqueued over REST, and a subscriber sees each status, API and worker being two processes", async () => {
    const mails: { to: string[]; raw: string }[] = [];
    const smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      onData(stream, session, done) {
        let raw = "";
        stream.setEncoding("utf8").on("data", (chunk: string) => (raw += chunk));
        stream.on("end", () => {
          mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), raw });
          done();
        });
      },
    });
    await new Promise<void>((resolve) => smtp.listen(0, "127.0.0.1", resolve));
    atEnd(() => new Promise<void>((resolve) => smtp.close(resolve)));
    const { port } = smtp.server.address() as { port: number };
    const member = await serviceMember(own);
    const api = await start("api");
    await start("worker", { SMTP_URL: `smtp://127.0.0.1:${port}`, EMAIL_FROM: "Atlas <atlas@example.com>" });
    const watcher = watch(api.wsUrl, member, { after: await eventCursor(api, member) });
    const id = await post(api, member.headers, {
      jobType: "EMAIL_SEND",
      input: { to: ["a@example.com", "b@example.com"], subject: "Grüße", body: "Hello there" },
    });
    const changes = await watcher.count(3);
    expect(
      changes.map(({ jobId, version, previousStatus, status }) => [jobId, version, previousStatus, status]),
    ).toEqual([
      [id, 1, null, "QUEUED"],
      [id, 2, "QUEUED", "RUNNING"],
      [id, 3, "RUNNING", "COMPLETED"],
    ]);
    expect(mails).toHaveLength(1);
    expect(mails[0]?.to).toEqual(["a@example.com", "b@example.com"]);
    expect(mails[0]?.raw).toContain("Hello there");
    expect(mails[0]?.raw).toContain("Subject: =?UTF-8?");
    expect(await ask(api, member, `query ($id: ID!) { job(id: $id) { output error { code } } }`, { id })).toEqual({
      output: expect.objectContaining({ accepted: ["a@example.com", "b@example.com"], rejected: [] }),
      error: null,
    });
    watcher.stop();
  });

  it("drains 1,000 jobs with two worker processes: each runs once, all complete", async () => {
    const member = await serviceMember(own);
    await start("worker");
    await start("worker");
    await own.database.transaction(SYSTEM, (tx) =>
      tx.query(
        `insert into jobs (tenant_id, job_type, input)
         select $1, 'EMAIL_SEND', jsonb_build_object('to', 'u' || n || '@example.com') from generate_series(1, 1000) n`,
        [member.tenantId],
      ),
    );
    await until(
      async () => {
        const [row] = (await asSuperuser(
          "select count(*)::int as n from jobs where status = 'completed'",
          own.superuserUrl,
        )) as {
          n: number;
        }[];
        return row?.n === 1000;
      },
      { boundMs: 60_000, what: "1,000 completed jobs" },
    );
    expect(
      await asSuperuser(
        `select (select count(distinct worker_id)::int from job_events) as workers, max(attempt) as attempts, max(version) as versions,
           (select count(*)::int from job_events where status = 'running') as runs from jobs`,
        own.superuserUrl,
      ),
    ).toEqual([{ workers: 2, attempts: 1, versions: 3, runs: 1000 }]);
  });

  it("runs a job again within 15 s after its worker was killed with -9", async () => {
    const member = await serviceMember(own);
    const handlers = join(dataDir, "handlers");
    const variables = { HANDLERS: await slowHandler(handlers) };
    const first = await start("worker", variables);
    const api = await start("api");
    const id = await post(api, member.headers, { jobType: "SLOW", input: { firstAttemptMs: 600_000 } });
    const status = async () => {
      const job = await ask<{ status: string; attempt: number }>(
        api,
        member,
        `query ($id: ID!) { job(id: $id) { status attempt } }`,
        { id },
      );
      return `${job.status} ${job.attempt}`;
    };
    await until(async () => (await status()) === "RUNNING 1");
    await start("worker", variables);
    await first.end("SIGKILL");
    const killedAt = performance.now();
    await until(async () => (await status()) === "COMPLETED 2", { boundMs: 30_000 });
    expect(performance.now() - killedAt).toBeLessThan(15_000);
  });

  it("drains on a signal, also one that comes twice: ends what runs, hands back the rest, exits with 0", async () => {
    const member = await serviceMember(own);
    const worker = await start("worker", {
      HANDLERS: await slowHandler(join(dataDir, "handlers")),
      SHUTDOWN_GRACE_MS: "1500",
    });
    const api = await start("api");
    const short = await post(api, member.headers, { jobType: "SLOW", input: { firstAttemptMs: 700 } });
    const long = await post(api, member.headers, { jobType: "SLOW", input: { firstAttemptMs: 600_000 } });
    const statuses = async () =>
      Object.fromEntries(
        (
          (await asSuperuser("select id, status, attempt from jobs", own.superuserUrl)) as {
            id: string;
            status: string;
            attempt: number;
          }[]
        ).map((job) => [job.id, `${job.status} ${job.attempt}`]),
      );
    await until(async () => Object.values(await statuses()).every((one) => one === "running 1"));
    // Twice, as Ctrl-C reaches a service that npm runs.
    worker.child.kill("SIGINT");
    expect(await worker.end("SIGINT")).toBe(0);
    expect(await statuses()).toEqual({ [short]: "completed 1", [long]: "queued 1" });
    expect(await asSuperuser("select id from workers", own.superuserUrl)).toEqual([]);
    expect(await api.end("SIGTERM")).toBe(0);
  });

  it("cancels a running job in another process: its handler's signal fires", async () => {
    const member = await serviceMember(own);
    await start("worker", { HANDLERS: await slowHandler(join(dataDir, "handlers")) });
    const api = await start("api");
    const id = await post(api, member.headers, { jobType: "SLOW", input: { firstAttemptMs: 600_000 } });
    const watcher = watch(api.wsUrl, member, {
      filter: { status: ["CANCELED"] },
      after: await eventCursor(api, member),
    });
    const job = (field: string) =>
      ask<Record<string, unknown>>(api, member, `query ($id: ID!) { job(id: $id) { ${field} } }`, { id });
    await until(async () => (await job("status"))["status"] === "RUNNING");
    await ask(api, member, `mutation ($id: ID!) { cancelJob(id: $id) { job { cancelRequestedAt } } }`, { id });
    expect((await watcher.count(1)).at(-1)?.status).toBe("CANCELED");
    watcher.stop();
  });

  it("shows a subscriber what a person does in psql", async () => {
    const member = await serviceMember(own);
    const api = await start("api", { NOTIFY: "off" });
    const watcher = watch(api.wsUrl, member, { after: await eventCursor(api, member) });
    const id = randomUUID();
    for (const sql of [
      `insert into jobs (tenant_id, id, job_type) values ('${member.tenantId}', '${id}', 'BY_HAND')`,
      `update jobs set status = 'canceled' where id = '${id}'`,
      `delete from jobs where id = '${id}'`,
    ]) {
      await asSuperuser(sql, own.superuserUrl);
    }
    expect((await watcher.count(3)).map(({ version, status }) => [version, status])).toEqual([
      [1, "QUEUED"],
      [2, "CANCELED"],
      [3, null],
    ]);
    watcher.stop();
  });
});

async function eventCursor(api: Service, member: Awaited<ReturnType<typeof serviceMember>>): Promise<string> {
  return (await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`)).eventCursor;
}

/** A handler that takes its time on the first attempt, and heeds its signal. */
async function slowHandler(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "SLOW.mjs"),
    `import { setTimeout as sleep } from "node:timers/promises";
     export default async function slow(input, { attempt, signal }) {
       await sleep(attempt === 1 ? input.firstAttemptMs : 1, undefined, { signal });
       return { attempt };
     }`,
  );
  return folder;
}
