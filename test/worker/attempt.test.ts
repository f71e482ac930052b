import { setImmediate } from "node:timers/promises";
import { type Handler, type HandlerContext, type Json, PermanentError } from "../../src/handlers/handler.js";
import { cancel } from "../../src/queue/cancel.js";
import { HANDED_BACK, retryDelayMs } from "../../src/queue/retry-policy.js";
import { asSuperuser, SYSTEM } from "../support/database.js";
import { useRig, type Rig, untilStopped } from "./rig.js";

const REFUSE_SECRETS = `
  create function refuse_secrets() returns trigger language plpgsql as $$
  begin
    if new.output = '"secret"' then raise exception 'no secrets' using errcode = 'untranslatable_character'; end if;
    return new;
  end $$;
  create trigger refuse_secrets before update on jobs for each row execute function refuse_secrets()`;

const rig = useRig();
let handle: Handler;
beforeAll(async () => {
  rig.work({ RUN: (...given) => handle(...given) });
});

/** Runs one job by a handler of its own and waits until it is not running. */
async function run(handler: Handler, options: Parameters<Rig["enqueue"]>[1] = {}) {
  handle = handler;
  const id = await rig.enqueue("RUN", options);
  return rig.jobThat(id, "was run", ({ status, attempt }) => attempt > 0 && status !== "running");
}

function throwAny(thrown: unknown): never {
  throw thrown;
}

describe("a handler that returns", () => {
  it.each<[string, Handler, Json]>([
    ["nothing", () => undefined, null],
    ["a value", () => ({ answer: [42, "ü", null] }), { answer: [42, "ü", null] }],
    ["a promise", () => Promise.resolve("later"), "later"],
    ["what has a JSON form", () => ({ at: new Date(0), gone: undefined }), { at: "1970-01-01T00:00:00.000Z" }],
    ["a bigint", () => ({ id: 9007199254740993n, n: 1n }), { id: 9007199254740993n, n: 1 }],
    ["a backslash before u0000", () => "\\u0000 \\\\ud800", "\\u0000 \\\\ud800"],
    ["a megabyte", () => "x".repeat(1024 * 1024 - 2), "x".repeat(1024 * 1024 - 2)],
  ])("completes the job with %s as its output", async (_, handler, output) => {
    const job = await run(handler);
    expect(job).toMatchObject({ status: "completed", attempt: 1, error: null });
    expect(job.output).toEqual(output);
  });

  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  let deep: unknown = 1;
  for (let level = 0; level < 50_000; level += 1) deep = [deep];
  it.each<[string, unknown, RegExp]>([
    ["a symbol", Symbol("s"), /must be a JSON value, got a symbol/],
    ["a bigint past a double", { n: 10n ** 309n }, /holds 10{39}…, which cannot be kept as a number/],
    ["a circle", circular, /must be a JSON value: /],
    ["too many levels", deep, /must be a JSON value: /],
    ["a NUL", { "a\0": 1 }, /must not contain NUL characters or lone surrogates/],
    ["a lone surrogate", ["\\\ud800"], /must not contain NUL characters or lone surrogates/],
    ["more than a megabyte", "x".repeat(1024 * 1024), /must be at most 1048576 bytes as JSON, got 1048578/],
    [
      "numbers that PostgreSQL writes out",
      Array.from({ length: 4_000 }, () => 1e308),
      /must be at most 1048576 bytes as JSON, got 1240001/,
    ],
  ])("fails for good with %s, which no output can hold", async (_, output, message) => {
    const job = await run(() => output);
    expect(job).toMatchObject({ status: "failed", attempt: 1, output: null, error: { code: "invalid_output" } });
    expect(job.error?.message).toMatch(message);
  });

  it("fails for good with an output that PostgreSQL refuses", async () => {
    await asSuperuser(REFUSE_SECRETS, rig.superuserUrl);
    const job = await run(() => "secret");
    expect(job).toMatchObject({ status: "failed", attempt: 1, error: { code: "invalid_output" } });
    expect(job.error?.message).toBe("PostgreSQL cannot hold it: no secrets");
  });
});

describe("a handler that throws", () => {
  it("is tried again after a back-off, its error kept meanwhile", async () => {
    const job = await run(() => {
      throw Object.assign(new Error("no luck"), { code: "bad_luck" });
    });
    expect(job).toMatchObject({ status: "queued", attempt: 1, finishedAt: null });
    expect(job.error).toMatchObject({ code: "bad_luck", message: "no luck", attempt: 1 });
    const delayMs = job.runAt.getTime() - job.updatedAt.getTime();
    expect(delayMs).toBeGreaterThan(8_900);
    expect(delayMs).toBeLessThan(11_100);
  });

  it("fails the job at its last attempt", async () => {
    const job = await run(() => Promise.reject(new Error("no luck")), { maxAttempts: 1 });
    expect(job).toMatchObject({ status: "failed", error: { code: "handler_error", message: "no luck" } });
  });

  it("has its job completed when a later attempt succeeds", async () => {
    const id = await rig.enqueue("FLAKY");
    const worker = rig.work({
      FLAKY: (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("first")) : attempt),
    });
    await rig.jobThat(id, "failed once", ({ error }) => error !== null);
    await rig.rows("update jobs set run_at = clock_timestamp() where id = $1 and status = 'queued'", [id]);
    rig.hints.send("queued");
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 2, output: 2, error: null });
    await worker.drain();
    expect(await rig.statuses(id)).toEqual(["queued", "running", "queued", "running", "completed"]);
    expect(worker.stats).toMatchObject({ claimed: 2, queued: 1, completed: 1 });
  });

  it.each<[string, unknown, string]>([
    ["a PermanentError", new PermanentError("never", "no_way"), "no_way"],
    ["any error that is permanent", Object.assign(new Error("never"), { permanent: true }), "handler_error"],
    ["an object that is permanent", { message: "never", code: "no_way", permanent: true }, "no_way"],
  ])("fails the job at once with %s", async (_, thrown, code) => {
    const job = await run(() => throwAny(thrown));
    expect(job).toMatchObject({ status: "failed", attempt: 1, error: { code, message: "never" } });
  });

  it("has its stack and its causes' kept with the attempt, bounded", async () => {
    const stackOf = async (thrown: unknown): Promise<string | null> => {
      const { id, error } = await run(() => throwAny(thrown), { maxAttempts: 1 });
      expect(Object.keys(error ?? {})).toEqual(["code", "message", "attempt", "occurredAt"]);
      const [ended] = await rig.rows<{ stack: string | null }>(
        "select error ->> 'stack' as stack from job_events where job_id = $1 and status = 'failed'",
        [id],
      );
      return ended?.stack ?? null;
    };
    const cause = Object.assign(new Error("deep"), { stack: "Error: deep\0\n at place" });
    const stack = await stackOf(new Error("outer", { cause }));
    expect(stack).toMatch(/^Error: outer\n +at .*attempt\.test\.ts/);
    expect(stack).toContain("\nCaused by: Error: deep\uFFFD\n at place");
    expect(await stackOf(Object.assign(new Error(), { stack: "x".repeat(9_999) }))).toHaveLength(4_096);
    expect(await stackOf("no error")).toBeNull();
    const circle: { stack: string; cause?: unknown } = { stack: "s" };
    circle.cause = circle;
    expect(await stackOf(circle)).toBe(Array.from({ length: 6 }, () => "s").join("\nCaused by: "));
  });

  const unreadable = Object.defineProperty({}, "message", {
    get() {
      throw new Error("no");
    },
  });
  it.each<[string, unknown, string, string]>([
    ["a string", "oops", "handler_error", "oops"],
    ["nothing", undefined, "handler_error", "undefined"],
    ["a symbol", Symbol("s"), "handler_error", "Symbol(s)"],
    ["no text form", Object.create(null), "handler_error", "The handler's error cannot be read"],
    ["a getter that throws", unreadable, "handler_error", "The handler's error cannot be read"],
    ["a code that is no snake_case", Object.assign(new Error("x"), { code: "ECONNREFUSED" }), "handler_error", "x"],
    ["a code but no message", Object.assign(new Error(""), { code: "EPIPE" }), "handler_error", "EPIPE"],
    ["text that PostgreSQL cannot hold", new Error("a\0b\ud800c"), "handler_error", "a\uFFFDb\uFFFDc"],
    [
      "a message cut within a character",
      new Error(`${"x".repeat(1999)}😀`),
      "handler_error",
      `${"x".repeat(1999)}\uFFFD`,
    ],
    ["a long message", new Error("x".repeat(9_999)), "handler_error", "x".repeat(2_000)],
  ])("keeps %s as a code and a message", async (_, thrown, code, message) => {
    const job = await run(() => throwAny(thrown), { maxAttempts: 1 });
    expect(job.error).toMatchObject({ code, message });
  });
});

describe("a handler that overruns its timeout", () => {
  /** Keeps the event loop, so that no timer fires meanwhile. */
  const block = (ms: number): void => {
    for (const end = performance.now() + ms; performance.now() < end;);
  };
  it.each<[string, Handler]>([
    ["has blocked the event loop and returns", () => block(400)],
    [
      "has blocked the event loop after a wait",
      async () => {
        await setImmediate();
        block(400);
      },
    ],
    ["throws late", () => (block(400), throwAny(new PermanentError("late")))],
    [
      "heeds no signal and returns late",
      async (_, { signal }) => {
        await untilStopped(signal).catch(() => undefined);
        return "late";
      },
    ],
  ])("fails when it %s", async (_, handler) => {
    const job = await run(handler, { timeoutMs: 300 });
    expect(job).toMatchObject({ status: "queued", attempt: 1, output: null, error: { code: "timeout" } });
    expect(job.error?.message).toBe("The attempt ran past its timeout of 300 ms");
  });

  it("is canceled all the same when that was asked for", async () => {
    const job = await run(
      async (_, { jobId }) => {
        await rig.database.transaction(SYSTEM, (tx) => cancel(tx, rig.tenantId, jobId));
        block(400);
      },
      { timeoutMs: 300 },
    );
    expect(job).toMatchObject({ status: "canceled", error: null });
  });
});

describe("a handler's context", () => {
  it("tells of the job", async () => {
    let seen: Partial<HandlerContext> = {};
    const job = await run((_, context) => void (seen = context), { maxAttempts: 7 });
    expect(seen).toMatchObject({
      jobId: job.id,
      workId: job.id,
      tenantId: rig.tenantId,
      jobType: job.jobType,
      attempt: 1,
      maxAttempts: 7,
      checkpointed: null,
    });
    expect(seen.signal?.aborted).toBe(false);
    expect(seen.log?.bindings()).toMatchObject({ jobId: job.id, tenantId: rig.tenantId, attempt: 1 });
  });

  it("keeps a checkpoint for the next attempt", async () => {
    const id = await rig.enqueue("RESUMES");
    const worker = rig.work({
      RESUMES: async (_, { checkpointed, checkpoint }) => {
        if (checkpointed !== null) return checkpointed;
        await checkpoint({ page: 1 });
        await checkpoint({ page: 2 });
        throw new Error("interrupted");
      },
    });
    await rig.jobThat(id, "failed once", ({ error }) => error !== null);
    await rig.rows("update jobs set run_at = clock_timestamp() where id = $1 and status = 'queued'", [id]);
    expect(await rig.finished(id)).toMatchObject({ attempt: 2, output: { page: 2 } });
    await worker.drain();
  });

  it("refuses a checkpoint that PostgreSQL cannot hold", async () => {
    const job = await run((_, { checkpoint }) => checkpoint("\0"));
    expect(job).toMatchObject({ status: "failed", error: { code: "invalid_checkpoint" } });
  });

  it("runs other handlers inside the job, each under a name of its own", async () => {
    const seen: Pick<HandlerContext, "workId" | "jobType" | "jobId">[] = [];
    const worker = rig.work({
      OUTER: async (_, { run: runInner }) => [
        await runInner("INNER", { n: 1 }),
        await runInner("INNER", { n: 2 }),
        await runInner("INNER", { n: 7 }, 7),
      ],
      INNER: ({ n }, context) => {
        seen.push(context);
        return { n, ...(context.checkpointed as object) };
      },
    });
    const id = await rig.enqueue("OUTER");
    expect(await rig.finished(id)).toMatchObject({ output: [{ n: 1 }, { n: 2 }, { n: 7 }] });
    expect(seen.map(({ workId }) => workId)).toEqual([`${id}.1`, `${id}.2`, `${id}.7`]);
    expect(seen[0]).toMatchObject({ jobId: id, jobType: "INNER" });
    await worker.drain();
  });

  it("is handed back when it asks for a handler that is not there, and its attempt is not held against it", async () => {
    const job = await run((_, context) => context.run("NOBODY", {}), { maxAttempts: 1 });
    expect(job).toMatchObject({
      status: "queued",
      attempt: 1,
      maxAttempts: 2,
      error: { code: "unknown_job_type", message: "This worker has no handler for the job type NOBODY" },
    });
    expect(job.runAt.getTime() - Date.now()).toBeGreaterThan(5_000);
  });

  it("fails once it has waited for a handler for about a day: 150 times, at most 10 minutes apart", async () => {
    const waits = Array.from({ length: 149 }, (_, n) =>
      retryDelayMs({ ...HANDED_BACK, attempt: n + 1, retryAfterMs: null }, 0),
    );
    expect(Math.max(...waits)).toBeLessThanOrEqual(600_000);
    expect(waits.reduce((sum, ms) => sum + ms)).toBeGreaterThan(21 * 3_600_000);
    handle = (_, context) => context.run("NOBODY", {});
    const id = await rig.enqueue("RUN", { runAt: new Date(Date.now() + 60_000) });
    await rig.rows("update jobs set attempt = 148, max_attempts = 149, run_at = now() where id = $1", [id]);
    await rig.jobThat(id, "is handed back", ({ attempt, status }) => attempt === 149 && status === "queued");
    await rig.rows("update jobs set run_at = now() where id = $1", [id]);
    expect(await rig.finished(id)).toMatchObject({
      status: "failed",
      attempt: 150,
      error: { code: "unknown_job_type" },
    });
  });
});
