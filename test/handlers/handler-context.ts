import { randomUUID } from "node:crypto";
import {
  type Handler,
  type HandlerContext,
  type Handlers,
  type Json,
  PermanentError,
} from "../../src/handlers/handler.js";
import { createLogger } from "../../src/log.js";

export interface ContextOptions {
  handlers?: Handlers;
  jobId?: string;
  jobType?: string;
  signal?: AbortSignal;
  /** What an earlier attempt kept. */
  checkpointed?: Json;
}

/** A handler's context that keeps its checkpoints in a list, as they were when they were kept. */
export function contextOf(options: ContextOptions = {}): HandlerContext & { readonly kept: Json[] } {
  const kept: Json[] = [];
  const jobId = options.jobId ?? randomUUID();
  const within = (workId: string, jobType: string): HandlerContext => ({
    jobId,
    tenantId: randomUUID(),
    jobType,
    attempt: 1,
    maxAttempts: 4,
    workId,
    signal: options.signal ?? new AbortController().signal,
    log: createLogger("silent"),
    checkpointed: options.checkpointed ?? null,
    checkpoint: async (value) => void kept.push(structuredClone(value)),
    run: async (innerType, input, step = 1) => {
      const handler = options.handlers?.get(innerType);
      if (handler === undefined) throw new PermanentError(`no handler for ${innerType}`);
      return ((await handler(input, within(`${workId}.${step}`, innerType))) ?? null) as Json;
    },
  });
  return { ...within(jobId, options.jobType ?? "TEST"), kept };
}

/** What an attempt failed with. */
export async function failureOf(attempt: unknown): Promise<Error & { code?: unknown; permanent?: unknown }> {
  try {
    await attempt;
  } catch (error) {
    return error as Error;
  }
  throw new Error("the attempt did not fail");
}

/** Runs a handler as the worker does: a throw before its first await fails the attempt like any other. */
export async function attemptOf(handler: Handler, ...[input, context]: Parameters<Handler>): Promise<unknown> {
  return handler(input, context);
}
