import { cancel } from "../../src/queue/cancel.js";
import type { StopReason } from "../../src/worker/stop-reason.js";
import { SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";
import { useRig, gate, untilStopped } from "./rig.js";

const rig = useRig({ per: "test" });

function askToCancel(id: string) {
  return rig.database.transaction(SYSTEM, (tx) => cancel(tx, rig.tenantId, id));
}

describe("cancel of a running job", () => {
  it("fires the handler's signal at once on a hint, and ends the job canceled", async () => {
    const { handler, started, open } = gate();
    const worker = rig.work(
      { A: (input, context) => Promise.race([handler(input, context), untilStopped(context.signal)]) },
      { intervals: { beatMs: 60_000, silentMs: 60_000 } },
    );
    const id = await rig.enqueue("A");
    const signal = await started;
    await askToCancel(id);
    const askedAt = performance.now();
    rig.hints.send("canceling");
    await until(() => signal.aborted, { boundMs: 2_000 });
    expect(performance.now() - askedAt).toBeLessThan(1_000);
    expect((signal.reason as StopReason).code).toBe("canceled");
    expect(await rig.finished(id)).toMatchObject({ status: "canceled", attempt: 1, error: null, output: null });
    await until(() => worker.stats.canceled === 1);
    open(null);
  });

  it("fires the handler's signal by the next beat without a hint", async () => {
    const { handler, started, open } = gate();
    rig.work({ A: (input, context) => Promise.race([handler(input, context), untilStopped(context.signal)]) });
    const id = await rig.enqueue("A");
    const signal = await started;
    await askToCancel(id);
    expect(await rig.finished(id)).toMatchObject({ status: "canceled" });
    expect((signal.reason as StopReason).code).toBe("canceled");
    open(null);
  });

  it("ends canceled even if the handler finishes its work", async () => {
    const { handler, started, open } = gate();
    rig.work({ A: handler });
    const id = await rig.enqueue("A");
    await started;
    await askToCancel(id);
    open("done");
    expect(await rig.finished(id)).toMatchObject({ status: "canceled", output: null });
  });

  it("cuts off a handler that ignores its signal", async () => {
    const { handler, started, open } = gate();
    const worker = rig.work({ A: handler }, { concurrency: 1 });
    const id = await rig.enqueue("A");
    await started;
    await askToCancel(id);
    rig.hints.send("canceling");
    expect(await rig.finished(id)).toMatchObject({ status: "canceled" });
    await until(() => worker.running === 0);
    open(null);
  });
});

describe("timeout", () => {
  it("fires the handler's signal after the job's own timeout, and the job is tried again", async () => {
    let reason: unknown;
    rig.work({
      A: (_, { signal }) =>
        untilStopped(signal).catch((error: unknown) => {
          reason = error;
          throw error;
        }),
    });
    const job = await rig.jobThat(
      await rig.enqueue("A", { timeoutMs: 50 }),
      "timed out",
      ({ attempt, status }) => attempt === 1 && status === "queued",
    );
    expect(job.error).toMatchObject({ code: "timeout", message: "The attempt ran past its timeout of 50 ms" });
    expect((reason as StopReason).code).toBe("timeout");
  });

  it("is the worker's for a job without one", async () => {
    rig.work({ A: (_, { signal }) => untilStopped(signal) }, { jobTimeoutMs: 50 });
    const id = await rig.enqueue("A", { maxAttempts: 1 });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", error: { code: "timeout" } });
  });

  it("cuts off a handler that ignores its signal, frees its slot and ignores its late result", async () => {
    const late = gate();
    const worker = rig.work({ LATE: late.handler, NEXT: () => "next" }, { concurrency: 1, jobTimeoutMs: 50 });
    const id = await rig.enqueue("LATE", { maxAttempts: 1 });
    await late.started;
    const next = await rig.enqueue("NEXT");
    expect(await rig.finished(id)).toMatchObject({ status: "failed", error: { code: "timeout" } });
    expect(await rig.finished(next)).toMatchObject({ output: "next" });
    late.open("late");
    await until(() => worker.running === 0);
    expect(await rig.job(id)).toMatchObject({ status: "failed", output: null, version: 3 });
  });
});
