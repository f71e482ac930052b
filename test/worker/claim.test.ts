import { claim } from "../../src/queue/claim.js";
import type { Handler } from "../../src/handlers/handler.js";
import { createTenant, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";
import { useRig, gate } from "./rig.js";

const rig = useRig({ per: "test" });

describe("claim", () => {
  it("runs each of 1,000 jobs once, with two workers at it", async () => {
    const runs = new Map<string, number>();
    const handlers = {
      COUNT: (_: unknown, { jobId }: { jobId: string }) => {
        runs.set(jobId, (runs.get(jobId) ?? 0) + 1);
      },
    };
    const workers = [rig.work(handlers), rig.work(handlers)];
    await rig.enqueueAll(Array.from({ length: 1000 }, () => ({ jobType: "COUNT" })));
    await until(async () => (await countOf("completed")) === 1000, { what: "the end of all" });

    expect(runs.size).toBe(1000);
    expect(new Set(runs.values())).toEqual(new Set([1]));
    expect(workers.map(({ stats }) => stats.completed).reduce((a, b) => a + b)).toBe(1000);
    expect(Math.min(...workers.map(({ stats }) => stats.claimed))).toBeGreaterThan(0);
  });

  it("skips jobs locked by another worker", async () => {
    const [locked, free] = await rig.enqueueAll([{ jobType: "A", priority: 9 }, { jobType: "A" }]);
    await rig.database.transaction(SYSTEM, async (tx) => {
      await tx.query("select from jobs where id = $1 for update", [locked]);
      rig.work({ A: () => null });
      await rig.finished(String(free));
      expect((await rig.job(String(locked))).status).toBe("queued");
    });
    await rig.finished(String(locked));
  });

  it("takes the higher priority first, and the older among equals", async () => {
    const past = (minutes: number) => new Date(Date.now() - minutes * 60_000);
    const ids = await rig.enqueueAll([
      { jobType: "A", priority: 0 },
      { jobType: "B", priority: 5 },
      { jobType: "A", priority: 5 },
      { jobType: "B", priority: 7 },
    ]);
    await rig.rows("update jobs set run_at = $2 where id = $1", [ids[1], past(1)]);
    await rig.rows("update jobs set run_at = $2 where id = $1", [ids[2], past(2)]);
    const order: string[] = [];
    const handler = (_: unknown, { jobId }: { jobId: string }) => void order.push(jobId);
    rig.work({ A: handler, B: handler }, { concurrency: 1 });
    await until(() => order.length === 4);
    expect(order).toEqual([ids[3], ids[2], ids[1], ids[0]]);
  });

  it("never holds more jobs than it has slots, and fills a slot as soon as it is free", async () => {
    const gates = [gate(), gate(), gate(), gate()];
    const waiting = [...gates];
    const worker = rig.work({ A: (...given) => waiting.shift()?.handler(...given) }, { concurrency: 2 });
    await rig.enqueueAll(Array.from({ length: 4 }, () => ({ jobType: "A" })));
    await Promise.all([gates[0]?.started, gates[1]?.started]);
    expect(worker.running).toBe(2);
    expect(await countOf("running")).toBe(2);

    gates[0]?.open(null);
    await gates[2]?.started;
    expect(worker.running).toBe(2);
    expect(await countOf("queued")).toBe(1);
    for (const each of gates) each.open(null);
    await until(async () => (await countOf("completed")) === 4);
  });

  it("gives the next free slots to another tenant that waits, and every slot to one that is alone", async () => {
    const { tenantId: other } = await createTenant(rig.database);
    const gates: ReturnType<typeof gate>[] = [];
    const running = () => rig.rows<{ id: string }>("select tenant_id as id from jobs where status = 'running'");
    const handler: Handler = (...given) => {
      const next = gate();
      gates.push(next);
      return next.handler(...given);
    };
    rig.work({ A: handler }, { concurrency: 4, tenantShare: 0.5 });
    await rig.enqueueAll(Array.from({ length: 20 }, () => ({ jobType: "A", priority: 9 })));
    await until(() => gates.length === 4);

    await rig.rows("insert into jobs (tenant_id, job_type) select $1, 'A' from generate_series(1, 4)", [other]);
    for (const each of gates.slice(0, 2)) each.open(null);
    await until(async () => (await running()).filter(({ id }) => id === other).length === 2);
    expect((await running()).filter(({ id }) => id === rig.tenantId)).toHaveLength(2);

    for (let opened = 2; opened < 24; opened += 1) (await until(() => gates[opened])).open(null);
    await until(async () => (await countOf("completed")) === 24);
  });

  it("leaves a future job alone until its time has come", async () => {
    rig.work({ A: () => null });
    const runAt = new Date(Date.now() + 500);
    const { startedAt } = await rig.finished(await rig.enqueue("A", { runAt }));
    expect(startedAt?.getTime()).toBeGreaterThanOrEqual(runAt.getTime());
  });

  it("leaves job types alone that it has no handler for", async () => {
    const [unknown, known] = await rig.enqueueAll([{ jobType: "UNKNOWN", priority: 9 }, { jobType: "KNOWN" }]);
    rig.work({ KNOWN: () => null });
    await rig.finished(String(known));
    expect((await rig.job(String(unknown))).status).toBe("queued");
  });

  it("finds jobs without any hint", async () => {
    const worker = rig.work({ A: () => null }, { hints: rig.otherHints() });
    // Its first beat wakes the claims too: by its third that look is over.
    const beats = new Set<number>();
    const seenAt = `select extract(epoch from seen_at)::float8 as "seenAt" from workers where id = $1`;
    await until(async () => {
      for (const row of await rig.rows<{ seenAt: number }>(seenAt, [worker.id])) beats.add(row.seenAt);
      return beats.size >= 3;
    });
    expect(await rig.finished(await rig.enqueue("A"))).toMatchObject({ attempt: 1 });
  });

  it("registers before it claims", async () => {
    const id = await rig.enqueue("A");
    let seen = false;
    const worker = rig.work({ A: async () => (seen = await registered(worker.id)) });
    await rig.finished(id);
    expect(seen).toBe(true);
  });

  it("gives back what was claimed for it without its knowledge", async () => {
    const id = await rig.enqueue("UNKNOWN");
    const worker = rig.work({ A: () => null });
    await until(() => registered(worker.id));
    // As when the connection breaks between a claim's commit and its answer.
    const { jobs: claimed } = await rig.database.transaction(SYSTEM, (tx) =>
      claim(tx, { workerId: worker.id, jobTypes: ["UNKNOWN"], limit: 1 }),
    );
    expect(claimed).toHaveLength(1);
    const job = await rig.jobThat(id, "is queued again", ({ status }) => status === "queued");
    expect(job).toMatchObject({ attempt: 1, error: { code: "worker_lost", attempt: 1 } });
  });
});

async function countOf(status: string): Promise<number> {
  const [row] = await rig.rows<{ count: number }>("select count(*)::int as count from jobs where status = $1", [
    status,
  ]);
  return row?.count ?? 0;
}

async function registered(workerId: string): Promise<boolean> {
  return (await rig.rows("select from workers where id = $1", [workerId])).length === 1;
}
