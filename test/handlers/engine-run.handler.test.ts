import { createEngineRun, ENGINE_RUN } from "../../src/handlers/engine-run.handler.js";
import { type Handler, type Json, PermanentError } from "../../src/handlers/handler.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

let calls: { jobType: string; workId: string; input: unknown }[];
let handlers: Map<string, Handler>;
let engineRun: Handler;

beforeEach(() => {
  calls = [];
  handlers = new Map([
    ["DOUBLE", recorded("DOUBLE", ({ n }) => ({ n: Number(n) * 2 }))],
    ["NOTHING", recorded("NOTHING", () => undefined)],
  ]);
  engineRun = createEngineRun((jobType) => handlers.has(jobType));
  handlers.set(ENGINE_RUN, engineRun);
});

describe("ENGINE_RUN", () => {
  it("runs its steps in order and answers each one's output", async () => {
    const context = contextOf({ handlers });
    const steps = [
      { jobType: "DOUBLE", input: { n: 1 } },
      { jobType: "NOTHING" },
      { jobType: "DOUBLE", input: { n: 4 } },
    ];
    expect(await attemptOf(engineRun, { steps }, context)).toEqual({
      steps: [
        { jobType: "DOUBLE", output: { n: 2 } },
        { jobType: "NOTHING", output: null },
        { jobType: "DOUBLE", output: { n: 8 } },
      ],
    });
    expect(calls).toEqual([
      { jobType: "DOUBLE", workId: `${context.jobId}.1`, input: { n: 1 } },
      { jobType: "NOTHING", workId: `${context.jobId}.2`, input: {} },
      { jobType: "DOUBLE", workId: `${context.jobId}.3`, input: { n: 4 } },
    ]);
  });

  it("keeps the outputs after each step", async () => {
    const context = contextOf({ handlers });
    await attemptOf(engineRun, { steps: doubles(1, 2) }, context);
    expect(context.kept).toEqual([{ steps: [{ n: 2 }] }, { steps: [{ n: 2 }, { n: 4 }] }]);
  });

  it("goes on after the last finished step, under the same names of work", async () => {
    const { DOUBLE } = Object.fromEntries(handlers);
    let broken = true;
    handlers.set("DOUBLE", (input, context) => {
      if (input["n"] === 2 && broken) throw new Error("the network is away");
      return DOUBLE?.(input, context);
    });
    const steps = doubles(1, 2, 3);
    const first = contextOf({ handlers });
    const failure = await failureOf(attemptOf(engineRun, { steps }, first));
    expect(failure.message).toBe("steps[1] DOUBLE: the network is away");
    expect(failure.permanent).toBeUndefined();

    broken = false;
    calls = [];
    const second = contextOf({ handlers, jobId: first.jobId, checkpointed: first.kept.at(-1) ?? null });
    expect(await attemptOf(engineRun, { steps }, second)).toEqual({
      steps: [2, 4, 6].map((n) => ({ jobType: "DOUBLE", output: { n } })),
    });
    expect(calls.map(({ workId }) => workId)).toEqual([`${first.jobId}.2`, `${first.jobId}.3`]);
  });

  it("gives a step that is tried again what it kept, and the next step nothing of it", async () => {
    let broken = true;
    const seen: unknown[] = [];
    handlers.set("PAGES", async (_, { checkpointed, checkpoint }) => {
      seen.push(checkpointed);
      if (!broken) return "done";
      await checkpoint({ page: 7 });
      throw new Error("the network is away");
    });
    const steps = [...doubles(1), { jobType: "PAGES" }, { jobType: "PAGES" }];
    const first = contextOf({ handlers });
    await failureOf(attemptOf(engineRun, { steps }, first));
    expect(first.kept.at(-1)).toEqual({ steps: [{ n: 2 }], current: { page: 7 } });

    broken = false;
    const second = contextOf({ handlers, jobId: first.jobId, checkpointed: first.kept.at(-1) ?? null });
    expect(await attemptOf(engineRun, { steps }, second)).toMatchObject({
      steps: [{ output: { n: 2 } }, { output: "done" }, { output: "done" }],
    });
    expect(seen).toEqual([null, { page: 7 }, null]);
  });

  it("knows a checkpoint again whose outputs hold whole numbers beyond a double", async () => {
    const output = { id: 9_007_199_254_740_993n };
    const context = contextOf({ handlers, checkpointed: { steps: [output], current: null } });
    expect(await attemptOf(engineRun, { steps: doubles(1) }, context)).toEqual({
      steps: [{ jobType: "DOUBLE", output }],
    });
    expect(calls).toEqual([]);
  });

  it("runs no step when an earlier attempt finished them all", async () => {
    const context = contextOf({ handlers, checkpointed: { steps: [{ n: 2 }] } });
    expect(await attemptOf(engineRun, { steps: doubles(1) }, context)).toEqual({
      steps: [{ jobType: "DOUBLE", output: { n: 2 } }],
    });
    expect(calls).toEqual([]);
  });

  it.each<[string, Json]>([
    ["another shape", { done: 1 }],
    ["a list", [1]],
    ["more steps than the run", { steps: [1, 2, 3] }],
  ])("starts anew when the checkpoint is %s", async (_, checkpointed) => {
    await attemptOf(engineRun, { steps: doubles(1, 2) }, contextOf({ handlers, checkpointed }));
    expect(calls).toHaveLength(2);
  });

  it("fails at once, with its code, when a step fails for good", async () => {
    handlers.set("REFUSED", () => {
      throw new PermanentError("no such user", "email_refused");
    });
    const steps = [...doubles(1), { jobType: "REFUSED" }, ...doubles(2)];
    const failure = await failureOf(attemptOf(engineRun, { steps }, contextOf({ handlers })));
    expect(failure).toMatchObject({
      permanent: true,
      code: "email_refused",
      message: "steps[1] REFUSED: no such user",
    });
    expect(calls).toHaveLength(1);
  });

  it("runs no step when one has no handler", async () => {
    const steps = [...doubles(1), { jobType: "NO_SUCH" }, { jobType: "NOR_THIS" }];
    const failure = await failureOf(attemptOf(engineRun, { steps }, contextOf({ handlers })));
    expect(failure).toMatchObject({
      code: "unknown_job_type",
      message:
        "steps[1].jobType has no handler in this worker: NO_SUCH; steps[2].jobType has no handler in this worker: NOR_THIS",
    });
    // Another worker may have them.
    expect(failure.permanent).toBeUndefined();
    expect(calls).toEqual([]);
  });

  it("holds no other engine run", async () => {
    const steps = [...doubles(1), { jobType: ENGINE_RUN, input: { steps: doubles(1) } }];
    const failure = await failureOf(attemptOf(engineRun, { steps }, contextOf({ handlers })));
    expect(failure).toMatchObject({
      permanent: true,
      message: "steps[1].jobType must not be ENGINE_RUN: an engine run holds no other",
    });
    expect(calls).toEqual([]);
  });

  it.each([
    ["no steps", {}, "steps must be 1–100 steps"],
    ["an empty list", { steps: [] }, "steps must be 1–100 steps, got 0"],
    ["101 steps", { steps: doubles(...Array(101).keys()) }, "steps must be 1–100 steps, got 101"],
    ["a step that is no object", { steps: ["DOUBLE"] }, "steps[0] must be {jobType, input?}"],
    [
      "a step without a job type and one with a bad input",
      { steps: [{}, { jobType: "DOUBLE", input: [1] }] },
      "steps[0].jobType must be text; steps[1].input must be a JSON object",
    ],
  ])("fails at once with %s", async (_, input, message) => {
    const failure = await failureOf(attemptOf(engineRun, input, contextOf({ handlers })));
    expect(failure).toMatchObject({ permanent: true, code: "invalid_input", message });
    expect(calls).toEqual([]);
  });

  it("runs 100 steps, and takes null for an absent input", async () => {
    const steps = Array.from({ length: 100 }, () => ({ jobType: "NOTHING", input: null }));
    await attemptOf(engineRun, { steps }, contextOf({ handlers }));
    expect(calls).toHaveLength(100);
  });

  it("starts no further step once the signal has fired", async () => {
    const abort = new AbortController();
    const reason = new Error("shutdown");
    handlers.set("STOP", () => abort.abort(reason));
    const context = contextOf({ handlers, signal: abort.signal });
    const steps = [...doubles(1), { jobType: "STOP" }, ...doubles(2)];
    expect(await failureOf(attemptOf(engineRun, { steps }, context))).toBe(reason);
    expect(calls).toHaveLength(1);
    expect(context.kept.at(-1)).toEqual({ steps: [{ n: 2 }, null] });
  });

  it("fails at once when the outputs outgrow what a job can keep", async () => {
    handlers.set(
      "LARGE",
      recorded("LARGE", () => "x".repeat(600_000)),
    );
    const steps = Array.from({ length: 4 }, () => ({ jobType: "LARGE" }));
    const failure = await failureOf(attemptOf(engineRun, { steps }, contextOf({ handlers })));
    expect(failure).toMatchObject({
      permanent: true,
      code: "invalid_output",
      message: "the outputs of steps 1–2 must be at most 1048576 bytes as JSON",
    });
    expect(calls).toHaveLength(2);
  });
});

function doubles(...numbers: number[]): { jobType: string; input: { n: number } }[] {
  return numbers.map((n) => ({ jobType: "DOUBLE", input: { n } }));
}

function recorded(jobType: string, work: (input: Parameters<Handler>[0]) => unknown): Handler {
  return (input, { workId }) => {
    calls.push({ jobType, workId, input });
    return work(input);
  };
}
