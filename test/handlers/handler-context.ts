import { randomUUID } from "node:crypto";
import {
  type Handler,
  type HandlerContext,
  type Handlers,
  type Json,
  PermanentError,
  type RegisteredHandler,
} from "../../src/handlers/handler.js";
import { parseHandlerModule } from "../../src/handlers/handler-module.js";
import { createLogger } from "../../src/log.js";

export interface ContextOptions {
  handlers?: ReadonlyMap<string, Handler | RegisteredHandler>;
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
  const handlers = registered(options.handlers ?? []);
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
    run: async (innerType, input, step = 1, progress) => {
      const inner = handlers.get(innerType);
      if (inner === undefined) throw new PermanentError(`no handler for ${innerType}`);
      const context = { ...within(`${workId}.${step}`, innerType), ...progress };
      return ((await inner.handler(input, context)) ?? null) as Json;
    },
  });
  return { ...within(jobId, options.jobType ?? "TEST"), kept };
}

/** Handlers as the worker takes them; a function alone is a module that exports nothing else. */
export function registered(handlers: Iterable<readonly [string, Handler | RegisteredHandler]>): Handlers {
  return new Map(
    [...handlers].map(([jobType, given]) => [
      jobType,
      typeof given === "function" ? parseHandlerModule({ default: given }) : given,
    ]),
  );
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
