import type { Claimed } from "../../src/queue/claim.js";
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import type { Database, Session, Transaction } from "../../src/database/database.js";
import type { Handler } from "../../src/handlers/handler.js";
import type { StopReason } from "../../src/worker/stop-reason.js";
import type { WorkerOptions } from "../../src/worker/worker.js";
import { asSuperuser } from "../support/database.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { until } from "../support/until.js";
import { useRig, gate, MUTE, untilStopped } from "./rig.js";

const rig = useRig({ per: "test" });

/** A worker that seems dead to the others after its first beat; holding so many jobs it claims no more. */
function mute(jobs: number): Partial<WorkerOptions> {
  return { intervals: MUTE, hints: rig.otherHints(), concurrency: jobs };
}

describe("a worker that falls silent", () => {
  it("loses its job to another worker, which runs it again with its checkpoint", async () => {
    const { handler, started, open } = gate();
    rig.work(
      {
        A: async (input, context) => {
          await context.checkpoint("half");
          return handler(input, context);
        },
      },
      mute(1),
    );
    const id = await rig.enqueue("A");
    await started;
    rig.work({ A: (_, { checkpointed, attempt }) => [checkpointed, attempt] });
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 2, output: ["half", 2] });
    expect(await rig.statuses(id)).toEqual(["queued", "running", "queued", "running", "completed"]);
    const [rescued] = await rig.rows("select actor, error ->> 'code' as code from job_events where version = 3");
    expect(rescued).toEqual({ actor: "system", code: "worker_lost" });
    open(null);
  });

  it("has its job failed as worker_lost after the last attempt", async () => {
    const { handler, started, open } = gate();
    rig.work({ A: handler }, mute(1));
    const id = await rig.enqueue("A", { maxAttempts: 1 });
    await started;
    rig.work({ B: () => null });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", attempt: 1, error: { code: "worker_lost" } });
    open(null);
  });

  it("begins no job whose claim is answered only then", async () => {
    const proxy = await openDatabaseProxy(rig.url);
    const answered = Promise.withResolvers<void>();
    let late = false;
    const database = Object.assign(Object.create(rig.database) as Database, {
      transaction: async <T>(session: Session, work: (tx: Transaction) => Promise<T>): Promise<T> => {
        const result = await rig.database.transaction(session, work);
        const { jobs } = Object(result) as Partial<Claimed>;
        if (late && jobs !== undefined && jobs.length > 0) await answered.promise;
        return result;
      },
    });
    const runs: string[] = [];
    const silenced = rig.work(
      {
        A: (_, { attempt }) => void runs.push(`silent ${attempt}`),
        AFTERWARDS: () => void runs.push("afterwards"),
      },
      { database, databaseUrl: proxy.url, hints: rig.otherHints() },
    );
    await until(async () => (await rig.rows("select from workers where id = $1", [silenced.id])).length === 1);
    late = true;
    const id = await rig.enqueue("A");
    await rig.jobThat(id, "is claimed", ({ status }) => status === "running");
    proxy.set("hang");
    const { handler, started, open } = gate();
    rig.work({ A: (...given) => (runs.push(`other ${given[1].attempt}`), handler(...given)) });
    await started;
    late = false;
    answered.resolve();
    proxy.set("there");
    await rig.finished(await rig.enqueue("AFTERWARDS"));
    expect(runs).toEqual(["other 2", "afterwards"]);
    open(null);
    await rig.finished(id);
    await silenced.drain();
    await proxy.close();
  });

  it("cannot end, fail or checkpoint a job that it has lost", async () => {
    const [first, second] = [gate(), gate()];
    const checkpointed = Promise.withResolvers<unknown>();
    const silenced = rig.work(
      {
        A: first.handler,
        B: async (input, context) => {
          await second.handler(input, context);
          await context.checkpoint("late").catch(checkpointed.resolve);
          throw new Error("late");
        },
      },
      mute(2),
    );
    const ids = await rig.enqueueAll([{ jobType: "A" }, { jobType: "B" }]);
    await Promise.all([first.started, second.started]);
    rig.work({ A: () => "again", B: () => "again" });
    for (const id of ids) expect(await rig.finished(id)).toMatchObject({ output: "again" });

    first.open("late");
    second.open(null);
    await until(() => silenced.stats.lost === 2);
    expect(await checkpointed.promise).toMatchObject({ name: "StopReason", code: "lost" });
    for (const id of ids) {
      expect(await rig.job(id)).toMatchObject({ output: "again", version: 5, attempt: 2, checkpoint: null });
    }
  });

  it("has its handlers stopped by its next beat once it has lost their jobs", async () => {
    const { handler, started, open } = gate();
    const hints = rig.otherHints();
    const silenced = rig.work({ A: handler }, { ...mute(1), hints });
    const id = await rig.enqueue("A");
    const signal = await started;
    rig.work({ A: () => "again" });
    await rig.finished(id);
    expect(signal.aborted).toBe(false);
    hints.send("canceling");
    await until(() => signal.aborted);
    expect((signal.reason as StopReason).code).toBe("lost");
    await until(() => silenced.stats.lost === 1);
    open(null);
  });

  it("is not taken for dead by a worker that itself has just come", async () => {
    const { handler, started, open } = gate();
    rig.work({ A: handler }, mute(1));
    const id = await rig.enqueue("A");
    await started;
    await rig.rows("update workers set seen_at = clock_timestamp() - interval '1 hour'");
    const cameAt = performance.now();
    rig.work({ B: () => null });
    await rig.jobThat(id, "was rescued", ({ status }) => status === "queued");
    expect(performance.now() - cameAt).toBeGreaterThan(2_000);
    open(null);
  });
});

describe("the beat", () => {
  it("goes on while a handler keeps the event loop busy", async () => {
    // Another process looks, while this one's event loop stands still for longer than a dead worker's silence.
    const look = `
      import pg from "pg";
      const client = new pg.Client(process.argv[1]);
      await client.connect();
      const seen = async () => (await client.query("select seen_at from workers")).rows[0].seen_at.getTime();
      const first = await seen();
      await new Promise((resolve) => setTimeout(resolve, 2500));
      console.log((await seen()) - first);
      await client.end();`;
    let moved = 0;
    const worker = rig.work({
      BUSY: async (_, { signal }) => {
        const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", look, rig.superuserUrl], {
          encoding: "utf8",
        });
        moved = Number(stdout);
        if (stderr !== "") throw new Error(stderr);
        // Time for the watchdog to misjudge the silence.
        await sleep(500);
        return signal.aborted;
      },
    });
    const job = await rig.finished(await rig.enqueue("BUSY", { maxAttempts: 1 }));
    expect(job).toMatchObject({ status: "completed", output: false });
    expect(moved).toBeGreaterThan(1_500);
    expect(worker.stats.lost).toBe(0);
  });

  it("acts in the worker's role, for its transaction alone", async () => {
    const worker = rig.work({ A: () => null });
    await until(async () => (await rig.rows("select from workers where id = $1", [worker.id])).length === 1);
    const sessions = await asSuperuser(
      "select usename from pg_stat_activity where application_name = 'atlas-jobs beat' and datname = current_database()",
      rig.superuserUrl,
    );
    expect(sessions).toEqual([{ usename: "atlas" }]);
  });
});

describe("a worker whose database goes away", () => {
  const killAll = () =>
    asSuperuser(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
      rig.superuserUrl,
    );
  const database = () => new URL(rig.url).pathname.slice(1);
  const close = async () => {
    await asSuperuser(`alter database ${database()} allow_connections false`);
    await asSuperuser(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database()}' and pid <> pg_backend_pid()`,
    );
  };
  const reopen = () => asSuperuser(`alter database ${database()} allow_connections true`);

  it("carries on when its connections are killed again and again", async () => {
    rig.work({ A: () => sleep(5) });
    await rig.enqueueAll(Array.from({ length: 300 }, () => ({ jobType: "A" })));
    for (let kill = 0; kill < 5; kill += 1) {
      await killAll();
      await sleep(50);
    }
    const statuses = await until(async () => {
      const rows = await rig.rows<{ status: string }>("select distinct status from jobs").catch(() => []);
      return rows.length === 1 && rows[0]?.status !== "queued" && rows;
    });
    expect(statuses).toEqual([{ status: "completed" }]);
  });

  it("writes a job's end once it is back, and says once that it was away", async () => {
    const lines: { msg: string; level: number }[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
    const { handler, started, open } = gate();
    rig.work({ A: handler }, { log });
    const id = await rig.enqueue("A");
    await started;
    await close();
    open("done");
    await until(() => lines.some(({ msg }) => msg === "writing the attempt's end fails; it is tried again"));
    await until(() => lines.some(({ msg }) => msg === "claiming jobs fails; it is tried again"));
    await sleep(500);
    await reopen();
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 1, output: "done" });
    await until(() => lines.some(({ msg }) => msg === "claiming jobs works again"));
    expect(lines.filter(({ msg }) => msg.startsWith("claiming jobs fails")).length).toBeLessThan(4);
  });

  it("keeps a checkpoint once it is back, and the handler goes on", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    const { handler, started, open } = gate();
    const keep: Handler = async (input, context) => {
      await handler(input, context);
      await context.checkpoint("kept");
      return context.attempt;
    };
    rig.work({ A: keep }, { log });
    const id = await rig.enqueue("A");
    await started;
    await close();
    open(null);
    await until(() => lines.some((line) => line.includes("keeping a checkpoint fails; it is tried again")));
    await reopen();
    expect(await rig.finished(id)).toMatchObject({ status: "completed", checkpoint: "kept", output: 1 });
  });

  it("stops its handlers when it has been away for long, and runs their jobs again once it is back", async () => {
    const reasons: string[] = [];
    const attempts = [0];
    const worker = rig.work({
      A: (_, { attempt, signal }) => {
        attempts.push(attempt);
        if (attempt > 1) return "again";
        return untilStopped(signal).catch((error: StopReason) => {
          reasons.push(error.code);
          throw error;
        });
      },
    });
    const id = await rig.enqueue("A");
    await until(() => attempts.includes(1));
    await close();
    await until(() => reasons.length === 1);
    expect(reasons).toEqual(["lost"]);
    await until(() => worker.running === 0);
    await reopen();
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 2, output: "again" });
    expect((await rig.rows("select error ->> 'code' as code from job_events where version = 3"))[0]).toEqual({
      code: "worker_lost",
    });
  });

  it("waits for it when it is not there at the start", async () => {
    await close();
    const worker = rig.work({ A: () => "here" });
    await sleep(300);
    expect(worker.stats.claimed).toBe(0);
    await reopen();
    expect(await rig.finished(await rig.enqueue("A"))).toMatchObject({ output: "here" });
  });
});
