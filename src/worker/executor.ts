import { setTimeout as sleep } from "node:timers/promises";
import type { Database, Transaction } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import { type Handler, type HandlerContext, type Handlers, type Json, PermanentError } from "../handlers/handler.js";
import type { Logger } from "../log.js";
import { checkpoint } from "../queue/checkpoint.js";
import { complete } from "../queue/complete.js";
import { fail } from "../queue/fail.js";
import type { HeldJob } from "../queue/held-job.js";
import type { Job, JobStatus } from "../queue/job.js";
import { release } from "../queue/release.js";
import { retryDelayMs } from "../queue/retry-policy.js";
import type { WorkerIntervals } from "./intervals.js";
import { type Outcome, outcomeOfReturn, outcomeOfThrow, storable } from "./outcome.js";
import { StopReason } from "./stop-reason.js";

export interface ExecutorOptions {
  database: Database;
  hints: Hints;
  handlers: Handlers;
  workerId: string;
  /** For jobs without a timeout of their own. */
  jobTimeoutMs: number;
  intervals: WorkerIntervals;
  log: Logger;
}

/** An attempt in this worker's hands. */
export interface Attempt {
  readonly job: Job;
  /** `process.hrtime.bigint()` once the claim was known. */
  readonly claimedAt: bigint;
  readonly abort: AbortController;
  readonly log: Logger;
}

/** Runs one attempt from claim to settlement: context → handler → outcome → settle. Never throws. */
export class Executor {
  constructor(private readonly options: ExecutorOptions) {}

  begin(job: Job): Attempt {
    const { log } = this.options;
    return {
      job,
      claimedAt: process.hrtime.bigint(),
      abort: new AbortController(),
      log: log.child({ jobId: job.id, tenantId: job.tenantId, jobType: job.jobType, attempt: job.attempt }),
    };
  }

  /** @returns the status that the job reached; null when this worker had lost it. */
  async execute(attempt: Attempt): Promise<JobStatus | null> {
    const startedAt = performance.now();
    const outcome = await this.run(attempt);
    const status = await this.settle(attempt, outcome);
    const { kind, ...rest } = outcome;
    const detail = kind === "failed" ? { ...rest } : {};
    attempt.log.info(
      { outcome: kind, status, durationMs: Math.round(performance.now() - startedAt), ...detail },
      status === null ? "the job was lost to another worker" : "attempt ended",
    );
    return status;
  }

  private async run(attempt: Attempt): Promise<Outcome> {
    const { job, abort } = attempt;
    const timeoutMs = job.timeoutMs ?? this.options.jobTimeoutMs;
    const timer = setTimeout(
      () => abort.abort(new StopReason("timeout", `The attempt ran past its timeout of ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      const handler = this.handlerOf(job.jobType);
      const output = Promise.resolve().then(() => handler(job.input as Record<string, Json>, this.contextOf(attempt)));
      return outcomeOfReturn(await Promise.race([output, this.cutOff(attempt)]));
    } catch (error) {
      return outcomeOfThrow(error, abort.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  private handlerOf(jobType: string): Handler {
    const handler = this.options.handlers.get(jobType);
    if (handler === undefined)
      throw new PermanentError(`There is no handler for the job type ${jobType}`, "unknown_job_type");
    return handler;
  }

  private contextOf({ job, abort, log }: Attempt): HandlerContext {
    const held = this.heldOf(job);
    const within = (workId: string, jobType: string, own: boolean): HandlerContext => {
      let calls = 0;
      return {
        jobId: job.id,
        tenantId: job.tenantId,
        jobType,
        attempt: job.attempt,
        maxAttempts: job.maxAttempts,
        workId,
        signal: abort.signal,
        log,
        checkpointed: own ? (job.checkpoint as Json) : null,
        checkpoint: async (value) => {
          if (!own) throw new Error("a handler inside another has no checkpoint of its own");
          const kept = storable(value, "checkpoint");
          if (await this.asWorker((tx) => checkpoint(tx, held, kept))) return;
          const lost = new StopReason("lost", "The job was lost to another worker");
          abort.abort(lost);
          throw lost;
        },
        run: async (innerType, input, step = ++calls) =>
          storable(
            await this.handlerOf(innerType)(input, within(`${workId}.${step}`, innerType, false)),
            "output",
          ) as Json,
      };
    };
    return within(job.id, job.jobType, true);
  }

  /** Rejects some time after the signal has fired, for a handler that does not heed it. */
  private async cutOff({ abort, log }: Attempt): Promise<never> {
    const { signal } = abort;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await sleep(this.options.intervals.cutOffMs, undefined, { ref: false });
    log.warn("the handler ignored its signal and was cut off");
    throw signal.reason;
  }

  private async settle(attempt: Attempt, outcome: Outcome): Promise<JobStatus | null> {
    const { job, abort, log } = attempt;
    const { intervals, hints } = this.options;
    const held = this.heldOf(job);
    for (let failures = 0; outcome.kind !== "lost"; failures += 1) {
      try {
        const status = await this.asWorker((tx) => {
          if (outcome.kind === "completed") return complete(tx, held, outcome.output);
          if (outcome.kind === "released") return release(tx, held);
          return fail(tx, held, { ...outcome, retryDelayMs: retryDelayMs(job.attempt) });
        });
        hints.send("events", ...(status === "queued" && outcome.kind === "released" ? (["queued"] as const) : []));
        return status;
      } catch (error) {
        // While the database is away the job stays ours until another worker takes it: then there is nothing to write.
        if (isLost(abort.signal)) return null;
        log.warn({ err: error }, "the attempt's end is not written yet");
        await sleep(Math.min(intervals.retryMinMs * 2 ** failures, intervals.retryMaxMs));
      }
    }
    return null;
  }

  private heldOf(job: Job): HeldJob {
    return { tenantId: job.tenantId, id: job.id, workerId: this.options.workerId, attempt: job.attempt };
  }

  private asWorker<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.options.database.transaction({ role: "worker", actor: `worker:${this.options.workerId}` }, work);
  }
}

function isLost(signal: AbortSignal): boolean {
  return signal.reason instanceof StopReason && signal.reason.code === "lost";
}
