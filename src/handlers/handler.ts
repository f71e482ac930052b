import type { Logger } from "../log.js";

/**
 * A JSON value, as a job's input, output and checkpoint hold it. Whole numbers beyond ±(2⁵³ − 1), which a number cannot
 * hold, are bigints, and may be returned as such; `JSON.stringify` writes them as the numbers that they are.
 */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/**
 * The code of an error which says that this worker has no handler for what the job holds. Another may, as a newer version's during an
 * upgrade: the job is handed back for later, and the attempt not held against it.
 */
export const UNKNOWN_JOB_TYPE = "unknown_job_type";

/** What a handler is given besides its input. */
export interface HandlerContext {
  /** The job's id; the same on each attempt. */
  readonly jobId: string;
  readonly tenantId: string;
  readonly jobType: string;
  /** 1 on the first attempt. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /**
   * Names this piece of work, the same on each attempt: the job's id, or job id and step number inside an
   * ENGINE_RUN (`<job id>.2`). Give it to other services as their idempotency key.
   */
  readonly workId: string;
  /** Fires when the job is canceled, lost to another worker, past its timeout, or cut off by a shutdown. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** What the last `checkpoint` of an earlier attempt kept; null if there was none. */
  readonly checkpointed: Json;
  /**
   * Keeps a value with the job for later attempts, replacing the last one.
   * @throws if the job was lost to another worker meanwhile.
   */
  checkpoint(value: Json): Promise<void>;
  /**
   * Runs another registered handler inside this job and returns its output. The inner handler gets this context with
   * `workId` set to `<workId>.<step>`. It shares the attempt, its timeout and its signal. If its error
   * ends the attempt, the back-off of the inner job type is used, and the larger of both numbers of attempts holds.
   * @param step numbers the work, so that a resumed job names it alike; by default the calls of this attempt, from 1.
   * @param progress keeps the inner handler's checkpoint, for instance inside this one's; without it, an inner handler that
   * keeps one fails for good.
   * @throws {RetryError} `unknown_job_type` if no handler is registered for that type in this worker.
   */
  run(jobType: string, input: JsonObject, step?: number, progress?: Progress): Promise<Json>;
}

/** What a handler has kept for its later attempts, and where it keeps more. */
export type Progress = Pick<HandlerContext, "checkpointed" | "checkpoint">;

/**
 * Does one job. Returning completes it, with the returned JSON value as its output (nothing: null). Throwing fails the
 * attempt, and the job is retried with back-off: not before `retryAfterMs` if the error is a `RetryError` or any that has
 * one. Throwing a `PermanentError`, or any error whose `permanent` is true, fails the job at once.
 */
export type Handler = (input: JsonObject, context: HandlerContext) => unknown;

/** How long a failed attempt waits for the next: `firstMs` after the first one, then twice as long each time up to `maxMs`. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** A job type's handler, and what its module names for jobs of the type; null: the service's default. */
export interface RegisteredHandler {
  readonly handler: Handler;
  /** Of jobs whose creator named none. */
  readonly maxAttempts: number | null;
  readonly backoff: Backoff | null;
  /** An attempt's time, of jobs whose creator named none. */
  readonly timeoutMs: number | null;
  /** Where it runs: in a process of its own, or, null, among the worker's others. */
  readonly isolate: "process" | null;
}

/** Job type → its handler. */
export type Handlers = ReadonlyMap<string, RegisteredHandler>;

/** Thrown by a handler when another attempt cannot succeed: the job fails at once. */
export class PermanentError extends Error {
  override readonly name: string = "PermanentError";
  readonly permanent = true;

  /** @param code machine-readable, `snake_case`; becomes the job's `error.code`. */
  constructor(
    message: string,
    readonly code: string = "permanent_error",
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Thrown by a handler that knows when another attempt may succeed. */
export class RetryError extends Error {
  override readonly name: string = "RetryError";

  /**
   * @param retryAfterMs the next attempt comes no sooner, and later where the back-off says so; more than a day counts as
   * a day.
   * @param code machine-readable, `snake_case`; becomes the job's `error.code`.
   */
  constructor(
    message: string,
    readonly retryAfterMs: number,
    readonly code: string = "handler_error",
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
