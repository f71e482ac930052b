import { setTimeout as sleep } from "node:timers/promises";
import type { Database, Transaction } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import type { Logger } from "../log.js";
import { countUnhandled } from "../queue/count-unhandled.js";
import { foldCounts } from "../queue/fold-counts.js";
import { makeDue } from "../queue/make-due.js";
import { markComplete } from "../queue/mark-complete.js";
import { prune } from "../queue/prune.js";
import { rescue } from "../queue/rescue.js";
import type { WorkerIntervals } from "./intervals.js";
import { Outage } from "./outage.js";
import { UnhandledTypes } from "./unhandled-types.js";

export interface MaintenanceOptions {
  database: Database;
  hints: Hints;
  intervals: WorkerIntervals;
  jobTimeoutMs: number;
  retentionDays: number;
  log: Logger;
  /** For how long this worker's own beats have come without a break. */
  unbrokenMs: () => number;
}

/** Job types named in the log, at most: clients choose types, and could make the line endless. */
const MAX_UNHANDLED = 20;

/** A step that every worker takes now and then; several doing so at once is harmless. */
interface Step {
  name: string;
  everyMs: number;
  /** @returns whether there may be more to do at once. */
  take(): Promise<boolean>;
}

/** Keeps the queue in order: future jobs become due, lost jobs are rescued, counts are folded, old rows pruned. */
export class Maintenance {
  private readonly stopped = new AbortController();
  private readonly loops: Promise<void>[];

  constructor(private readonly options: MaintenanceOptions) {
    this.loops = this.steps().map((step) => this.loop(step));
  }

  /** Resolves when the steps under way are over. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await Promise.all(this.loops);
    // So that a dump made after the service has ended is known to have all events, those of its last second included.
    await this.transact(markComplete).catch((error: unknown) => {
      this.options.log.debug({ err: error }, "the log's end was not marked");
    });
  }

  private steps(): Step[] {
    const { intervals, hints, log, jobTimeoutMs, retentionDays, unbrokenMs } = this.options;
    const unhandledTypes = new UnhandledTypes(log);
    return [
      {
        name: "make_due",
        everyMs: intervals.makeDueMs,
        take: async () => {
          const { made, more } = await this.transact(makeDue);
          if (made > 0) hints.send("queued");
          return more;
        },
      },
      {
        name: "rescue",
        everyMs: intervals.rescueMs,
        take: async () => {
          // After an outage of the database no worker has a recent beat: wait until those that live have beaten again.
          if (unbrokenMs() < intervals.deadMs) return false;
          const rescued = await this.transact((tx) =>
            rescue(tx, {
              deadAfterMs: intervals.deadMs,
              defaultTimeoutMs: jobTimeoutMs,
              // By then the worker itself has stopped waiting for a handler that ignores its signal, and written the end.
              graceMs: intervals.cutOffMs + intervals.beatMs,
            }),
          );
          for (const { id, ...rest } of rescued) log.warn({ jobId: id, ...rest }, "rescued a job");
          if (rescued.length > 0) hints.send("queued", "events");
          return rescued.length > 0;
        },
      },
      {
        name: "fold_counts",
        everyMs: intervals.foldMs,
        take: () => this.transact(foldCounts),
      },
      {
        name: "mark_complete",
        everyMs: intervals.markCompleteMs,
        take: async () => {
          await this.transact(markComplete);
          return false;
        },
      },
      {
        name: "unhandled",
        everyMs: intervals.unhandledMs,
        take: async () => {
          // As above: beats may be missing only because the database was away.
          if (unbrokenMs() < intervals.deadMs) return false;
          const limits = { deadAfterMs: intervals.deadMs, limit: MAX_UNHANDLED };
          unhandledTypes.found(await this.transact((tx) => countUnhandled(tx, limits)));
          return false;
        },
      },
      {
        name: "prune",
        everyMs: intervals.pruneMs,
        take: async () => {
          const { events, more } = await this.transact((tx) => prune(tx, retentionDays));
          if (events > 0) hints.send("events");
          return more;
        },
      },
    ];
  }

  private async loop(step: Step): Promise<void> {
    const { intervals, log } = this.options;
    const { signal } = this.stopped;
    const outage = new Outage(`maintenance step ${step.name}`, log, intervals);
    while (!signal.aborted) {
      let waitMs: number;
      try {
        waitMs = (await step.take()) ? 0 : step.everyMs;
        outage.succeeded();
      } catch (error) {
        waitMs = Math.max(outage.failed(error), step.everyMs);
      }
      if (waitMs > 0) await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.options.database.transaction({ role: "worker", actor: "system" }, work);
  }
}
