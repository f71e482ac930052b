import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Handler, Json } from "../../src/handlers/handler.js";
import { ProcessPool } from "../../src/handlers/isolation/process-pool.js";
import { loadHandlers } from "../../src/handlers/load-handlers.js";
import { StopReason } from "../../src/worker/stop-reason.js";
import { useRig } from "../worker/rig.js";
import { until } from "../support/until.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

let folder: string;
let pool: ProcessPool;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-isolated-"));
  pool = new ProcessPool();
});
afterEach(async () => {
  pool.close();
  await rm(folder, { recursive: true });
});

/** Loads a module that asks for a process, with this for its handler's body. */
async function isolated(body: string, head = ""): Promise<Handler> {
  const source = `${head}\nexport const isolate = "process";\nexport default async (input, context) => { ${body} };`;
  await writeFile(join(folder, "RUN.mjs"), source);
  return (await loadHandlers(folder, new Set(), pool)).get("RUN")!.handler;
}

const isAlive = (pid: unknown): boolean => {
  try {
    return process.kill(pid as number, 0);
  } catch {
    return false;
  }
};

describe("an isolated handler", () => {
  it("runs in a process of its own, which has the next attempt too", async () => {
    const handler = await isolated("return process.pid;");
    const pid = await attemptOf(handler, {}, contextOf());
    expect(pid).not.toBe(process.pid);
    expect(await attemptOf(handler, {}, contextOf())).toBe(pid);
    pool.close();
    await until(() => !isAlive(pid));
  });

  it("runs beside itself in another process", async () => {
    const handler = await isolated("await new Promise((go) => setTimeout(go, 300)); return process.pid;");
    const [first, second] = await Promise.all([1, 2].map(() => attemptOf(handler, {}, contextOf())));
    expect(first).not.toBe(second);
  });

  it("is given no input that its type's schema refuses", async () => {
    const handler = await isolated("return process.pid;", 'export const inputSchema = { required: ["month"] };');
    const failure = await failureOf(attemptOf(handler, {}, contextOf()));
    expect(failure).toMatchObject({ code: "invalid_input", permanent: true });
    expect(await attemptOf(handler, { month: "May" }, contextOf())).not.toBe(process.pid);
  });

  it("has the whole context", async () => {
    const lines: unknown[] = [];
    const log = pino(
      { level: "debug", base: { jobId: "j" } },
      { write: (line: string) => void lines.push(JSON.parse(line)) },
    );
    const inner: Handler = async ({ n }, { checkpoint, checkpointed, workId }) => {
      if (n === 2) await checkpoint("inner's");
      return { n, checkpointed, step: workId.split(".")[1] };
    };
    const handler = await isolated(`
      const { jobId, tenantId, jobType, attempt, maxAttempts, workId, checkpointed } = context;
      context.log.child({ part: 1 }).warn({ err: new Error("odd") }, "hello");
      context.log.debug("too");
      await context.checkpoint({ page: input.page, at: new Date(0) });
      const kept = [];
      const progress = { checkpointed: "mine", checkpoint: async (value) => void kept.push(value) };
      const outputs = [await context.run("INNER", { n: 1 }), await context.run("INNER", { n: 2 }, 7, progress)];
      return { jobId, tenantId, jobType, attempt, maxAttempts, workId, checkpointed, outputs, kept };`);
    const context = contextOf({ handlers: new Map([["INNER", inner]]), checkpointed: ["before"] });
    const output = await attemptOf(handler, { page: 3 }, { ...context, log });
    const { jobId, tenantId, jobType, attempt, maxAttempts, workId } = context;
    expect(output).toEqual({
      jobId,
      tenantId,
      jobType,
      attempt,
      maxAttempts,
      workId,
      checkpointed: ["before"],
      outputs: [expect.objectContaining({ n: 1, step: "1" }), { n: 2, checkpointed: "mine", step: "7" }],
      kept: ["inner's"],
    });
    expect(context.kept).toEqual([{ page: 3, at: "1970-01-01T00:00:00.000Z" }]);
    expect(lines).toMatchObject([
      { level: 40, jobId: "j", part: 1, msg: "hello", err: { message: "odd" } },
      { level: 20, jobId: "j", msg: "too" },
    ]);
  });

  it("is given and gives whole numbers of any length", async () => {
    const handler = await isolated(`
      await context.checkpoint([input.n + 1n]);
      return { n: await context.run("INNER", { n: input.n + 2n }), text: JSON.stringify(input) };`);
    const inner: Handler = ({ n }) => n;
    const context = contextOf({ handlers: new Map([["INNER", inner]]) });
    const n = 9_007_199_254_740_993n;
    expect(await attemptOf(handler, { n }, context)).toEqual({ n: n + 2n, text: `{"n":${n}}` });
    expect(context.kept).toEqual([[n + 1n]]);
  });

  it("throws as it would at home, with what decides its job's fate", async () => {
    const handler = await isolated(`
      class NotNow extends Error { name = "NotNow"; retryAfterMs = 60_000; code = "not_now"; socket = process; }
      throw new NotNow("later");`);
    const failure = await failureOf(attemptOf(handler, {}, contextOf()));
    expect(failure).toMatchObject({ name: "NotNow", message: "later", code: "not_now", retryAfterMs: 60_000 });
    expect(failure.stack).toContain("RUN.mjs");
    expect(failure).not.toHaveProperty("socket");
  });

  it.each([
    ["text", `throw "oops";`, { message: "oops" }],
    ["an object", `throw { message: "no", permanent: true };`, { message: "no", permanent: true }],
    ["what cannot be read", `throw { get message() { throw 1; } };`, { message: "The handler's error cannot be read" }],
    [
      "what an inner handler threw",
      `await context.run("BAD", {});`,
      { message: "inner", code: "bad", permanent: true },
    ],
    ["a symbol for an output", `return Symbol("s");`, { code: "invalid_output", permanent: true }],
    [
      "a circle for a checkpoint",
      `const a = []; a.push(a); await context.checkpoint(a);`,
      { code: "invalid_checkpoint" },
    ],
  ])("fails with %s", async (_, body, expected) => {
    const bad: Handler = () => {
      throw Object.assign(new Error("inner"), { code: "bad", permanent: true });
    };
    const handler = await isolated(body);
    const context = contextOf({ handlers: new Map([["BAD", bad]]) });
    expect(await failureOf(attemptOf(handler, {}, context))).toMatchObject(expected);
  });

  it.each([
    ["exits", "process.exit(3);", "The handler's process ended with code 3"],
    ["aborts", "process.abort();", "The handler's process was ended by SIGABRT, as when it runs out of memory"],
    ["leaves a rejection unheard", `Promise.reject(new Error("unheard")); await new Promise(() => {});`, "unheard"],
  ])("that %s fails its attempt, and the next one has another process", async (_, body, message) => {
    const handler = await isolated(`if (input.again) return "well"; ${body}`);
    expect((await failureOf(attemptOf(handler, {}, contextOf()))).message).toBe(message);
    expect(await attemptOf(handler, { again: true }, contextOf())).toBe("well");
  });

  it("has nothing to do with its process's next attempt once it has ended", async () => {
    const lines: string[] = [];
    const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
    const handler = await isolated(`
      if (globalThis.late === undefined) return void (globalThis.late = context);
      const { late } = globalThis;
      late.log.info("late");
      const asked = [late.checkpoint("late"), late.run("INNER", {})];
      return (await Promise.allSettled(asked)).map(({ status, reason }) => [status, reason?.message]);`);
    const inner: Handler = () => "ran";
    await attemptOf(handler, {}, contextOf());
    const next = contextOf({ handlers: new Map([["INNER", inner]]) });
    const refused = ["rejected", "the attempt has ended"];
    expect(await attemptOf(handler, {}, { ...next, log })).toEqual([refused, refused]);
    expect([next.kept, lines]).toEqual([[], []]);
  });

  it("hears its signal", async () => {
    const stopper = new AbortController();
    const handler = await isolated(`
      await context.checkpoint("there");
      while (!context.signal.aborted) await new Promise(setImmediate);
      return [context.signal.reason.name, context.signal.reason.code];`);
    const context = contextOf({ signal: stopper.signal });
    const running = attemptOf(handler, {}, context);
    await until(() => context.kept.length === 1);
    stopper.abort(new StopReason("canceled", "The job was canceled"));
    expect(await running).toEqual(["StopReason", "canceled"]);
  });

  it("is killed when it goes on after its signal", async () => {
    const stopper = new AbortController();
    const handler = await isolated("await context.checkpoint(process.pid); for (;;);");
    const context = contextOf({ signal: stopper.signal });
    const failing = failureOf(attemptOf(handler, {}, context));
    await until(() => context.kept.length === 1);
    stopper.abort(new StopReason("canceled", "The job was canceled"));
    expect((await failing).message).toMatch(/^The handler's process was ended by SIGKILL/);
    expect(isAlive(context.kept[0])).toBe(false);
  });

  it("may run others in processes of their own, eight at once", async () => {
    const handler = await isolated(`
      if (input.depth === 0) return "deep";
      return context.run("RUN", { depth: input.depth - 1 });`);
    const run = (depth: number): Promise<unknown> =>
      attemptOf(handler, { depth }, contextOf({ handlers: new Map([["RUN", handler]]), jobId: "one" }));
    expect(await run(7)).toBe("deep");
    expect(await failureOf(run(8))).toMatchObject({ code: "too_many_processes", permanent: true });
    expect(await run(7)).toBe("deep");
  });
});

describe("a worker with isolated handlers", () => {
  const rig = useRig({ per: "test" });

  const work = async (body: string) => {
    const handler = await isolated(body);
    return rig.work({ RUN: handler, NEXT: () => "next" }, { concurrency: 1, intervals: { cutOffMs: 5_000 } });
  };
  const started = (id: string): Promise<Json> =>
    rig.jobThat(id, "has begun", ({ checkpoint }) => checkpoint !== null).then(({ checkpoint }) => checkpoint as Json);

  it("ends a busy loop at its timeout, and goes on meanwhile", async () => {
    await work("for (;;);");
    const id = await rig.enqueue("RUN", { timeoutMs: 500, maxAttempts: 1 });
    expect(await rig.finished(id)).toMatchObject({ status: "failed", error: { code: "timeout" } });
    expect(await rig.finished(await rig.enqueue("NEXT"))).toMatchObject({ output: "next" });
  });

  it("ends a busy loop whose job is canceled", async () => {
    await work("await context.checkpoint(process.pid); for (;;);");
    const id = await rig.enqueue("RUN");
    const pid = await started(id);
    await rig.rows("update jobs set cancel_requested_at = clock_timestamp() where id = $1", [id]);
    expect(await rig.finished(id)).toMatchObject({ status: "canceled" });
    expect(isAlive(pid)).toBe(false);
  });

  it("hands a busy loop's job back when it shuts down", async () => {
    const handler = await isolated("await context.checkpoint(process.pid); for (;;);");
    const worker = rig.work({ RUN: handler }, { shutdownGraceMs: 10, intervals: { cutOffMs: 5_000 } });
    const id = await rig.enqueue("RUN");
    const pid = await started(id);
    await worker.drain();
    expect(await rig.job(id)).toMatchObject({ status: "queued", error: null });
    expect(isAlive(pid)).toBe(false);
  });
});
