import { type Handler, type HandlerContext, type Handlers, type Json, PermanentError } from "../handlers/handler.js";
import type { Attempt } from "./attempt.js";
import { storable } from "./storable.js";

/**
 * What the handler of an attempt is given besides its input.
 * @param keep writes a checkpoint; false when the worker has lost the job.
 */
export function contextOf(
  attempt: Attempt,
  handlers: Handlers,
  keep: (value: unknown) => Promise<boolean>,
): HandlerContext {
  const { job, signal, log } = attempt;
  const within = (workId: string, jobType: string, checkpoints: Checkpoints): HandlerContext => {
    let calls = 0;
    return {
      jobId: job.id,
      tenantId: job.tenantId,
      jobType,
      attempt: job.attempt,
      maxAttempts: job.maxAttempts,
      workId,
      signal,
      log,
      ...checkpoints,
      run: async (innerType, input, step = ++calls) => {
        const inner = within(`${workId}.${step}`, innerType, NO_CHECKPOINTS);
        return storable(await handlerOf(handlers, innerType)(input, inner), "output");
      },
    };
  };
  return within(job.id, job.jobType, {
    checkpointed: job.checkpoint as Json,
    checkpoint: async (value) => {
      if (!(await keep(storable(value, "checkpoint")))) throw attempt.lose();
    },
  });
}

/** @throws {PermanentError} `unknown_job_type` */
export function handlerOf(handlers: Handlers, jobType: string): Handler {
  const handler = handlers.get(jobType);
  if (handler === undefined)
    throw new PermanentError(`There is no handler for the job type ${jobType}`, "unknown_job_type");
  return handler;
}

type Checkpoints = Pick<HandlerContext, "checkpointed" | "checkpoint">;

const NO_CHECKPOINTS: Checkpoints = {
  checkpointed: null,
  checkpoint: () =>
    Promise.reject(new PermanentError("a handler inside another has no checkpoint of its own", "no_checkpoint")),
};
