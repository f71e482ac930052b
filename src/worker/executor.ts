import { setTimeout as sleep } from "node:timers/promises";
import type { Database, Transaction } from "../database/database.js";
import { type Handlers, type JsonObject, UNKNOWN_JOB_TYPE } from "../handlers/handler.js";
import { checkpoint } from "../queue/checkpoint.js";
import type { Failure } from "../queue/fail.js";
import type { ClaimedJob } from "../queue/job.js";
import { HANDED_BACK, retryDelayMs } from "../queue/retry-policy.js";
import type { Attempt } from "./attempt.js";
import { contextOf, handlerOf, maxAttemptsOf } from "./context.js";
import type { WorkerIntervals } from "./intervals.js";
import {
  type FailedOutcome,
  type Outcome,
  outcomeOfRefusal,
  outcomeOfReturn,
  outcomeOfStop,
  outcomeOfThrow,
} from "./outcome.js";
import { Outage } from "./outage.js";
import { type EndStatus, isRefusal, type Settlement, type Settler } from "./settler.js";
import { StopReason } from "./stop-reason.js";

export interface ExecutorOptions {
  database: Database;
  settler: Settler;
  handlers: Handlers;
  /** For jobs without a timeout of their own. */
  jobTimeoutMs: number;
  intervals: WorkerIntervals;
  /** Fires when the worker has ended: what is not settled by then is left to the other workers' rescue. */
  over: AbortSignal;
}

/** Runs one attempt, in steps: handler → outcome → settlement → log. */
export class Executor {
  constructor(private readonly options: ExecutorOptions) {}

  /**
   * Never throws.
   * @returns the status that the job reached; null when this worker had lost it or could not write it.
   */
  async execute(attempt: Attempt): Promise<EndStatus | null> {
    const startedAt = performance.now();
    attempt.log.info("the attempt has begun");
    const outcome = await this.run(attempt);
    const status = await this.settle(attempt, outcome);
    const durationMs = Math.round(performance.now() - startedAt);
    const { kind, ...detail } = outcome;
    const handedBack = isHandedBack(outcome) && status === "queued";
    attempt.log[handedBack ? "warn" : "info"](
      { outcome: kind, status, durationMs, ...(kind === "failed" && detail) },
      status === null
        ? "the attempt was lost, nothing is changed"
        : handedBack
          ? "the attempt has ended: the job waits for a worker that has the handler"
          : "the attempt has ended",
    );
    return status;
  }

  private async run(attempt: Attempt): Promise<Outcome> {
    const timeoutMs = attempt.job.attemptTimeoutMs ?? this.options.jobTimeoutMs;
    const timeout = new StopReason("timeout", `The attempt ran past its timeout of ${timeoutMs} ms`);
    const endsAt = performance.now() + timeoutMs;
    const timer = setTimeout(() => attempt.stop(timeout), timeoutMs);
    const ended = new AbortController();
    const handled = this.callHandler(attempt).then((outcome) => {
      // A handler that blocks the event loop delays the timer, too: its end may come before the timer fires.
      const overran = attempt.signal.reason === timeout || performance.now() >= endsAt;
      return overran && outcome.kind !== "lost" ? outcomeOfStop(timeout) : outcome;
    });
    try {
      return await Promise.race([handled, this.cutOff(attempt, handled, ended.signal)]);
    } finally {
      clearTimeout(timer);
      ended.abort();
    }
  }

  private async callHandler(attempt: Attempt): Promise<Outcome> {
    const { handlers } = this.options;
    const keep = (value: unknown) => this.keep(attempt, value);
    try {
      const handler = handlerOf(handlers, attempt.job.jobType);
      return outcomeOfReturn(await handler(attempt.job.input as JsonObject, contextOf(attempt, handlers, keep)));
    } catch (error) {
      const outcome = outcomeOfThrow(error, attempt.signal);
      return outcome.kind === "failed" ? { ...outcome, origin: attempt.originOf(error) } : outcome;
    }
  }

  /**
   * Writes a checkpoint. While the database is away and the attempt goes on it tries again: what the checkpoint records has
   * been done, and would be done a second time without it.
   * @returns false when the worker has lost the job.
   */
  private async keep(attempt: Attempt, value: unknown): Promise<boolean> {
    const outage = new Outage("keeping a checkpoint", attempt.log, this.options.intervals);
    const { signal } = attempt;
    for (;;) {
      try {
        const kept = await this.transact(attempt, (tx) => checkpoint(tx, attempt.held, value));
        outage.succeeded();
        return kept;
      } catch (error) {
        if (isRefusal(error) || signal.aborted) throw error;
        await sleep(outage.failed(error), undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Ends the wait for a handler that goes on for some time after its signal has fired. */
  private async cutOff({ signal, log }: Attempt, handled: Promise<Outcome>, ended: AbortSignal): Promise<Outcome> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await sleep(this.options.intervals.cutOffMs, undefined, { signal: ended, ref: false });
    const reason = signal.reason as StopReason;
    log.warn({ reason: reason.code }, "the handler ignores its signal and is no longer waited for");
    void handled.then(({ kind }) => log.warn({ outcome: kind }, "a handler no longer waited for has ended; ignored"));
    return outcomeOfStop(reason);
  }

  /** Writes the outcome. While the database is away it tries again: the job is this worker's until the database says that it is not. */
  private async settle(attempt: Attempt, outcome: Outcome): Promise<EndStatus | null> {
    const { intervals, over, settler } = this.options;
    const outage = new Outage("writing the attempt's end", attempt.log, intervals);
    let ending = outcome;
    while (ending.kind !== "lost" && !attempt.lost && !over.aborted) {
      try {
        const status = await settler.settle(attempt.held, this.settlementOf(attempt, ending));
        outage.succeeded();
        return status;
      } catch (error) {
        if (isRefusal(error)) ending = outcomeOfRefusal(ending, error.message);
        await sleep(outage.failed(error), undefined, { signal: over, ref: false }).catch(() => undefined);
      }
    }
    return null;
  }

  private settlementOf({ job }: Attempt, ending: Exclude<Outcome, { kind: "lost" }>): Settlement {
    return ending.kind === "failed" ? { kind: "failed", failure: this.failureOf(job, ending) } : ending;
  }

  private failureOf(job: ClaimedJob, ending: FailedOutcome): Failure {
    const { handlers } = this.options;
    const { attempt, jobType } = job;
    const { code, message, stack, retryAfterMs, origin = jobType } = ending;
    const handedBack = isHandedBack(ending);
    const spared = handedBack
      ? attempt < HANDED_BACK.maxAttempts
      : attempt >= job.maxAttempts && attempt < maxAttemptsOf(job, handlers, origin);
    const backoff = handedBack ? HANDED_BACK.backoff : (handlers.get(origin)?.backoff ?? null);
    return {
      code,
      message,
      stack,
      permanent: ending.permanent || (handedBack && !spared),
      spared,
      retryDelayMs: retryDelayMs({ attempt, backoff, retryAfterMs }),
    };
  }

  private transact<T>({ held }: Attempt, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.options.database.transaction({ role: "worker", actor: `worker:${held.workerId}` }, work);
  }
}

/** Whether another worker may be able to do what this one could not. */
function isHandedBack(outcome: Outcome): boolean {
  return outcome.kind === "failed" && outcome.code === UNKNOWN_JOB_TYPE && !outcome.permanent;
}
