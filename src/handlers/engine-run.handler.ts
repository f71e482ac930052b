import { z } from "zod";
import { JOB } from "../limits/policies.js";
import { type Handler, type Json, type JsonObject, PermanentError, RetryError, UNKNOWN_JOB_TYPE } from "./handler.js";

/** The job type of an engine run. */
export const ENGINE_RUN = "ENGINE_RUN";

const MAX_STEPS = 100;

const steps = `must be 1–${MAX_STEPS} steps`;
const outOfBounds = { error: ({ input }: { input?: unknown }) => `${steps}, got ${(input as unknown[]).length}` };

const engineRun = z.object({
  steps: z
    .array(
      z.object(
        {
          jobType: z.string("must be text"),
          input: z
            .record(z.string(), z.unknown(), "must be a JSON object")
            .nullish()
            .transform((input) => (input ?? {}) as JsonObject),
        },
        "must be {jobType, input?}",
      ),
      steps,
    )
    .min(1, outOfBounds)
    .max(MAX_STEPS, outOfBounds),
});

// Not z.json(), which takes no bigint.
const json = z.custom<Json>();
const progress = z.object({ steps: z.array(json), current: json.default(null) });

type Step = z.output<typeof engineRun>["steps"][number];

/**
 * The handler of ENGINE_RUN: `{steps: [{jobType, input?}]}` → `{steps: [{jobType, output}]}`. It runs 1–100 steps in
 * order and keeps each one's output, so that the next attempt goes on after the last finished step. A step that was cut
 * off runs again, under the same `workId`, and finds its checkpoint.
 * @param hasHandler whether a job type can be run. Every step's is asked about before the first step runs.
 */
export function createEngineRun(hasHandler: (jobType: string) => boolean): Handler {
  return async (input, context) => {
    const todo = parseSteps(input, hasHandler);
    const { steps: outputs, current } = progressOf(context.checkpointed, todo.length);
    const resumed = outputs.length;
    const finished = () => ({
      steps: todo.slice(0, outputs.length).map(({ jobType }, index) => ({ jobType, output: outputs[index] })),
    });

    for (const [index, step] of todo.entries()) {
      if (index < outputs.length) continue;
      context.signal.throwIfAborted();
      outputs.push(
        await context
          .run(step.jobType, step.input, index + 1, {
            checkpointed: index === resumed ? current : null,
            checkpoint: (value) => context.checkpoint({ steps: outputs, current: value }),
          })
          .catch((error: unknown) => {
            throw stepFailure(error, index, step);
          }),
      );
      // The queue would refuse to keep this checkpoint, and each attempt would run the step again.
      if (Buffer.byteLength(JSON.stringify(finished())) > JOB.outputBytes) {
        throw new PermanentError(
          `the outputs of steps 1–${index + 1} must be at most ${JOB.outputBytes} bytes as JSON`,
          "invalid_output",
        );
      }
      await context.checkpoint({ steps: outputs });
    }
    return finished();
  };
}

/** @throws {PermanentError} naming each step that cannot run; {RetryError} naming those that another worker may be able to run. */
function parseSteps(input: JsonObject, hasHandler: (jobType: string) => boolean): Step[] {
  const parsed = engineRun.safeParse(input);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${z.core.toDotPath(issue.path)} ${issue.message}`);
    throw new PermanentError(problems.join("; "), "invalid_input");
  }
  const todo = parsed.data.steps;
  const nested = todo.flatMap(({ jobType }, index) =>
    jobType === ENGINE_RUN ? [`steps[${index}].jobType must not be ${ENGINE_RUN}: an engine run holds no other`] : [],
  );
  if (nested.length > 0) throw new PermanentError(nested.join("; "), "invalid_input");
  const unknown = todo.flatMap(({ jobType }, index) =>
    hasHandler(jobType) ? [] : [`steps[${index}].jobType has no handler in this worker: ${jobType}`],
  );
  if (unknown.length > 0) throw new RetryError(unknown.join("; "), 0, UNKNOWN_JOB_TYPE);
  return todo;
}

/**
 * The outputs that an earlier attempt kept, and what the step after them kept; nothing if the checkpoint is not of this
 * run's making.
 */
function progressOf(checkpointed: Json, count: number): { steps: Json[]; current: Json } {
  const kept = progress.safeParse(checkpointed);
  if (!kept.success || kept.data.steps.length > count) return { steps: [], current: null };
  return kept.data;
}

/** A step's error with the step named in its message, and what decides the job's fate kept. */
function stepFailure(error: unknown, index: number, { jobType }: Step): Error {
  const { code, permanent, retryAfterMs } = Object(error) as Record<string, unknown>;
  const message = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(`steps[${index}] ${jobType}: ${message}`, { cause: error }), {
    code,
    permanent,
    retryAfterMs,
  });
}
