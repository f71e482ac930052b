import { type Handler, RetryError } from "../../src/handlers/handler.js";
import { parseHandlerModule } from "../../src/handlers/handler-module.js";
import { rescue } from "../../src/queue/rescue.js";
import { SYSTEM } from "../support/database.js";
import { useRig, untilStopped } from "./rig.js";

const DAY_MS = 24 * 3_600_000;
const fails: Handler = () => Promise.reject(new Error("no luck"));

const rig = useRig();

function throwAny(thrown: unknown): never {
  throw thrown;
}

/** How long a job whose first attempt threw something waits for the next one. */
async function delayAfter(module: Record<string, unknown>): Promise<number> {
  const worker = rig.work({ A: parseHandlerModule(module) });
  const id = await rig.enqueue("A");
  const job = await rig.jobThat(id, "failed once", ({ attempt, status }) => attempt === 1 && status === "queued");
  await worker.drain();
  await rig.rows("update jobs set status = 'canceled' where id = $1", [id]);
  return job.runAt.getTime() - job.updatedAt.getTime();
}

describe("a job type's attempts", () => {
  const backoff = { firstMs: 0, maxMs: 0 };

  it("are the job's from its first attempt on", async () => {
    const id = await rig.enqueue("B");
    expect(await rig.job(id)).toMatchObject({ maxAttempts: 4 });
    const seen: number[] = [];
    rig.work({
      B: parseHandlerModule({
        default: (_: unknown, { maxAttempts }: { maxAttempts: number }) => {
          seen.push(maxAttempts);
          throw new Error("no luck");
        },
        maxAttempts: 6,
        backoff,
      }),
    });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", attempt: 6, maxAttempts: 6 });
    expect(seen).toEqual([6, 6, 6, 6, 6, 6]);
  });

  it("may be fewer than the default", async () => {
    rig.work({ C: parseHandlerModule({ default: fails, maxAttempts: 1 }) });
    expect(await rig.finished(await rig.enqueue("C"))).toMatchObject({ status: "failed", attempt: 1, maxAttempts: 1 });
  });

  it.each([2, 4])("give way to the %i that the job's creator named", async (maxAttempts) => {
    rig.work({ D: parseHandlerModule({ default: fails, maxAttempts: 6, backoff }) });
    const id = await rig.enqueue("D", { maxAttempts });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", attempt: maxAttempts, maxAttempts });
  });

  it("are 4 where the type names none", async () => {
    rig.work({ E: parseHandlerModule({ default: fails, backoff }) });
    expect(await rig.finished(await rig.enqueue("E"))).toMatchObject({ status: "failed", attempt: 4, maxAttempts: 4 });
  });

  it("do not undo the attempt that a retry has added", async () => {
    const worker = rig.work({ F: parseHandlerModule({ default: fails, maxAttempts: 1 }) });
    const id = await rig.enqueue("F");
    await rig.finished(id);
    await rig.rows("update jobs set status = 'queued', max_attempts = 2 where id = $1", [id]);
    rig.hints.send("queued");
    const job = await rig.jobThat(
      id,
      "was tried again",
      ({ attempt, status }) => attempt === 2 && status !== "running",
    );
    expect(job).toMatchObject({ status: "failed", maxAttempts: 2 });
    await worker.drain();
  });
});

describe("a job type's back-off", () => {
  it("is how long a failed attempt waits for the next", async () => {
    const delayMs = await delayAfter({ default: fails, backoff: { firstMs: 600_000, maxMs: DAY_MS } });
    expect(delayMs).toBeGreaterThan(539_000);
    expect(delayMs).toBeLessThan(661_000);
  });

  it.each<[string, unknown, number]>([
    ["a RetryError's", new RetryError("busy", 600_000), 600_000],
    ["any error's", Object.assign(new Error("busy"), { retryAfterMs: 600_000 }), 600_000],
    ["an object's", { message: "busy", retryAfterMs: 600_000 }, 600_000],
    ["a day of a longer one's", new RetryError("busy", 7 * DAY_MS), DAY_MS],
    ["a day of an endless one's", new RetryError("busy", Infinity), DAY_MS],
  ])("is not shorter than %s retryAfterMs", async (_, thrown, leastMs) => {
    const delayMs = await delayAfter({ default: () => throwAny(thrown) });
    expect(delayMs).toBeGreaterThanOrEqual(leastMs - 1_000);
    expect(delayMs).toBeLessThan(leastMs * 1.1 + 1_000);
  });

  it.each<[string, unknown]>([
    ["shorter", 1],
    ["negative", -600_000],
    ["not a number", NaN],
    ["text", "600000"],
  ])("stays as it is when a retryAfterMs is %s", async (_, retryAfterMs) => {
    const delayMs = await delayAfter({
      default: () => Promise.reject(Object.assign(new Error("busy"), { retryAfterMs })),
    });
    expect(delayMs).toBeGreaterThan(8_000);
    expect(delayMs).toBeLessThan(12_000);
  });

  it("is not shorter than what a step's error says inside another handler", async () => {
    const worker = rig.work({
      OUTER: (_, context) => context.run("INNER", {}),
      INNER: () => Promise.reject(new RetryError("busy", 600_000)),
    });
    const id = await rig.enqueue("OUTER");
    const job = await rig.jobThat(id, "failed once", ({ attempt, status }) => attempt === 1 && status === "queued");
    expect(job.runAt.getTime() - job.updatedAt.getTime()).toBeGreaterThan(599_000);
    await worker.drain();
  });
});

describe("a handler inside another", () => {
  const outer: Handler = (_, context) => context.run("INNER", {});

  it("has its own type's attempts and back-off while it fails, and the outer one its own when it fails itself", async () => {
    let failing = "INNER";
    const seen: number[] = [];
    rig.work({
      OUTER: async (_, context) => {
        await context.run("INNER", {});
        throw new Error("the outer one");
      },
      INNER: parseHandlerModule({
        default: (_: unknown, { maxAttempts }: { maxAttempts: number }) => {
          seen.push(maxAttempts);
          if (failing === "INNER") throw new Error("the inner one");
        },
        maxAttempts: 6,
        backoff: { firstMs: 600_000, maxMs: 600_000 },
      }),
    });
    const id = await rig.enqueue("OUTER");
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const job = await rig.jobThat(id, "waits", (now) => now.attempt === attempt && now.status === "queued");
      expect(job.runAt.getTime() - job.updatedAt.getTime()).toBeGreaterThan(530_000);
      if (attempt === 5) failing = "OUTER";
      await rig.rows("update jobs set run_at = clock_timestamp() where id = $1", [id]);
      rig.hints.send("queued");
    }
    const job = await rig.finished(id);
    expect(job).toMatchObject({ status: "failed", attempt: 6, error: { message: "the outer one" } });
    expect(new Set(seen)).toEqual(new Set([6]));
  });

  it("does not change the attempts that the job's creator named", async () => {
    rig.work({
      OUTER_2: outer,
      INNER: parseHandlerModule({ default: fails, maxAttempts: 6, backoff: { firstMs: 0, maxMs: 0 } }),
    });
    const id = await rig.enqueue("OUTER_2", { maxAttempts: 2 });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", attempt: 2, maxAttempts: 2 });
  });

  it("does not take attempts from the outer one", async () => {
    const never = { firstMs: 0, maxMs: 0 };
    rig.work({
      OUTER_3: outer,
      INNER: parseHandlerModule({ default: fails, maxAttempts: 1, backoff: never }),
    });
    expect(await rig.finished(await rig.enqueue("OUTER_3"))).toMatchObject({ status: "failed", attempt: 4 });
  });
});

describe("a job type's timeout", () => {
  const stops: Handler = (_, { signal }) => untilStopped(signal);

  it("ends an attempt, unless the job's creator named another", async () => {
    rig.work({ G: parseHandlerModule({ default: stops, maxAttempts: 1, timeoutMs: 60 }) });
    const [ofType, ofCreator] = await Promise.all([
      rig.enqueue("G").then(rig.finished),
      rig.enqueue("G", { timeoutMs: 80 }).then(rig.finished),
    ]);
    expect(ofType.error?.message).toBe("The attempt ran past its timeout of 60 ms");
    expect(ofCreator.error?.message).toBe("The attempt ran past its timeout of 80 ms");
  });

  it("keeps a long attempt from the rescue of a worker whose own timeout is shorter", async () => {
    const started = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<string>();
    const long: Handler = () => {
      started.resolve();
      return ended.promise;
    };
    rig.work({ LONG: parseHandlerModule({ default: long, timeoutMs: 60_000 }) });
    const id = await rig.enqueue("LONG");
    await started.promise;
    const rescued = await rig.database.transaction(SYSTEM, (tx) =>
      rescue(tx, { deadAfterMs: 60_000, defaultTimeoutMs: 1, graceMs: 0 }),
    );
    expect(rescued).toEqual([]);
    ended.resolve("done");
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 1, output: "done" });
  });
});
