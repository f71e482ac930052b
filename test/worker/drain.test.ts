import type { StopReason } from "../../src/worker/stop-reason.js";
import { asSuperuser } from "../support/database.js";
import { useRig, gate, untilStopped } from "./rig.js";

const rig = useRig({ per: "test" });

describe("drain", () => {
  it("lets running jobs end, claims no more, and signs off", async () => {
    const { handler, started, open } = gate();
    const worker = rig.work({ A: handler }, { concurrency: 1 });
    const first = await rig.enqueue("A");
    const second = await rig.enqueue("A");
    const signal = await started;
    const drained = worker.drain();
    expect(worker.drain()).toBe(drained);
    open("done");
    await drained;
    expect(signal.aborted).toBe(false);
    expect(await rig.job(first)).toMatchObject({ status: "completed", output: "done" });
    expect(await rig.job(second)).toMatchObject({ status: "queued", attempt: 0 });
    expect(await rig.rows("select from workers where id = $1", [worker.id])).toEqual([]);
    expect(worker.running).toBe(0);
  });

  it.each<[string, boolean]>([
    ["heeds its signal", true],
    ["ignores its signal", false],
  ])("hands back a job whose handler %s, without holding the attempt against it", async (_, heeds) => {
    const { handler, started, open } = gate();
    const worker = rig.work(
      {
        A: (input, context) =>
          Promise.race([handler(input, context), ...(heeds ? [untilStopped(context.signal)] : [])]),
      },
      { shutdownGraceMs: 50 },
    );
    const id = await rig.enqueue("A", { maxAttempts: 1 });
    const signal = await started;
    await worker.drain();
    expect((signal.reason as StopReason).code).toBe("shutdown");
    expect(await rig.job(id)).toMatchObject({ status: "queued", attempt: 1, maxAttempts: 2, error: null });
    open(null);

    rig.work({ A: (__, { attempt }) => attempt });
    expect(await rig.finished(id)).toMatchObject({ status: "completed", output: 2 });
  });

  it("ends in bounded time while the database is away", async () => {
    const { handler, started, open } = gate();
    const worker = rig.work({ A: handler }, { shutdownGraceMs: 50 });
    await rig.enqueue("A");
    await started;
    const name = new URL(rig.url).pathname.slice(1);
    await asSuperuser(`alter database ${name} allow_connections false`);
    await asSuperuser(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const drainedAt = performance.now();
    await worker.drain();
    expect(performance.now() - drainedAt).toBeLessThan(10_000);
    await asSuperuser(`alter database ${name} allow_connections true`);
    open(null);
  });

  it("leaves nothing behind when it comes before the worker is registered", async () => {
    const worker = rig.work({ A: () => null });
    await worker.drain();
    expect(await rig.rows("select from workers")).toEqual([]);
  });
});
