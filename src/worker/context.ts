import {
  type Handler,
  type HandlerContext,
  type Handlers,
  type Json,
  PermanentError,
  type Progress,
  RetryError,
  UNKNOWN_JOB_TYPE,
} from "../handlers/handler.js";
import type { ClaimedJob } from "../queue/job.js";
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
  const within = (workId: string, jobType: string, progress: Progress): HandlerContext => {
    let calls = 0;
    return {
      jobId: job.id,
      tenantId: job.tenantId,
      jobType,
      attempt: job.attempt,
      maxAttempts: maxAttemptsOf(job, handlers, jobType),
      workId,
      signal,
      log,
      ...progress,
      run: async (innerType, input, step = ++calls, innerProgress = NO_PROGRESS) => {
        const inner = within(`${workId}.${step}`, innerType, innerProgress);
        try {
          return storable(await handlerOf(handlers, innerType)(input, inner), "output");
        } catch (error) {
          attempt.blame(innerType, error);
          throw error;
        }
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

/** How often a job may be attempted while it fails in the handler of this type: its own, or one that runs inside it. */
export function maxAttemptsOf(job: ClaimedJob, handlers: Handlers, jobType: string): number {
  const own = job.maxAttemptsByType ? (handlers.get(jobType)?.maxAttempts ?? 0) : 0;
  return jobType === job.jobType ? job.maxAttempts : Math.max(job.maxAttempts, own);
}

/** @throws {RetryError} `unknown_job_type` */
export function handlerOf(handlers: Handlers, jobType: string): Handler {
  const registered = handlers.get(jobType);
  if (registered === undefined)
    throw new RetryError(`This worker has no handler for the job type ${jobType}`, 0, UNKNOWN_JOB_TYPE);
  return registered.handler;
}

const NO_PROGRESS: Progress = {
  checkpointed: null,
  checkpoint: () =>
    Promise.reject(new PermanentError("a handler inside another has no checkpoint of its own", "no_checkpoint")),
};
