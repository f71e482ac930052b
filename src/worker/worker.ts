import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import type { Handlers } from "../handlers/handler.js";
import type { Logger } from "../log.js";
import { claim } from "../queue/claim.js";
import type { JobStatus } from "../queue/job.js";
import { Beat } from "./beat.js";
import type { BeatenJob } from "./beat-thread.js";
import { type Attempt, Executor } from "./executor.js";
import { INTERVALS, type WorkerIntervals } from "./intervals.js";
import { Maintenance } from "./maintenance.js";
import { StopReason } from "./stop-reason.js";

export interface WorkerOptions {
  database: Database;
  /** The same database's address: the beat has a connection of its own. */
  databaseUrl: string;
  hints: Hints;
  handlers: Handlers;
  log: Logger;
  /** Jobs at once, at most. */
  concurrency: number;
  jobTimeoutMs: number;
  /** How long a drain lets running jobs go on. */
  shutdownGraceMs: number;
  retentionDays: number;
  /** For tests. */
  intervals?: Partial<WorkerIntervals>;
}

/** What a worker has done since its start. */
export type WorkerStats = Record<"claimed" | "lost" | JobStatus, number>;

/** Claims jobs that it has handlers for, never more than it has free slots, and runs them. */
export class Worker {
  readonly id = randomUUID();
  readonly stats: WorkerStats = { claimed: 0, lost: 0, queued: 0, running: 0, completed: 0, failed: 0, canceled: 0 };
  private readonly attempts = new Map<string, { attempt: Attempt; ended: Promise<void> }>();
  private readonly intervals: WorkerIntervals;
  private readonly log: Logger;
  private readonly executor: Executor;
  private readonly beat: Beat;
  private readonly maintenance: Maintenance;
  private readonly loop: Promise<void>;
  private readonly stopHints: (() => void)[];
  private readonly draining = new AbortController();
  private hinted = false;
  private wake: (() => void) | null = null;

  constructor(private readonly options: WorkerOptions) {
    const { database, databaseUrl, hints, handlers } = options;
    this.intervals = { ...INTERVALS, ...options.intervals };
    this.log = options.log.child({ workerId: this.id });
    this.executor = new Executor({ ...options, workerId: this.id, intervals: this.intervals, log: this.log });
    this.beat = new Beat({
      url: databaseUrl,
      role: database.roleName("worker"),
      worker: { id: this.id, name: `${hostname()}:${process.pid}`, jobTypes: [...handlers.keys()] },
      intervals: this.intervals,
      log: this.log,
      onBeat: (held, startedAt) => this.heed(held, startedAt),
      onSilence: () => this.abortAll(new StopReason("lost", "The worker could not reach the database in time")),
    });
    this.maintenance = new Maintenance({
      ...options,
      intervals: this.intervals,
      log: this.log,
      unbrokenMs: () => this.beat.unbrokenMs,
    });
    this.stopHints = [hints.on("queued", () => this.look()), hints.on("canceling", () => this.beat.beatNow())];
    this.loop = this.run();
  }

  /** How many jobs run now. */
  get running(): number {
    return this.attempts.size;
  }

  /**
   * Stops claiming, lets running jobs end within the grace, hands back the rest, and signs off. Bounded by the grace and
   * some seconds.
   */
  async drain(): Promise<void> {
    this.draining.abort();
    this.wake?.();
    await this.loop;
    await Promise.race([this.allEnded(), sleep(this.options.shutdownGraceMs, undefined, { ref: false })]);
    if (this.running > 0) {
      this.log.warn({ running: this.running }, "handing back jobs that have not ended in time");
      this.abortAll(new StopReason("shutdown", "The worker is shutting down"));
      // Handlers that ignore the signal are cut off; with the database away there is nobody to hand back to.
      await Promise.race([this.allEnded(), sleep(2 * this.intervals.cutOffMs, undefined, { ref: false })]);
    }
    for (const stop of this.stopHints) stop();
    await this.maintenance.stop();
    await this.beat.end();
  }

  /** Ends without a word, as a crash would; what runs goes on unheeded. For tests. */
  async crash(): Promise<void> {
    this.draining.abort();
    this.wake?.();
    for (const stop of this.stopHints) stop();
    await this.beat.kill();
    await this.maintenance.stop();
  }

  private async run(): Promise<void> {
    await Promise.race([this.beat.registered, this.drainBegun()]);
    let failures = 0;
    while (!this.draining.signal.aborted) {
      const free = this.options.concurrency - this.running;
      try {
        this.hinted = false;
        const claimed = free === 0 ? 0 : await this.claim(free);
        failures = 0;
        // A batch that filled every slot leaves none to claim for: the next attempt to end wakes the loop.
        if (claimed === 0 || claimed === free) await this.pause(this.intervals.pollMs);
      } catch (error) {
        const delayMs = Math.min(this.intervals.retryMinMs * 2 ** failures++, this.intervals.retryMaxMs);
        this.log.warn({ err: error, delayMs }, "cannot claim jobs");
        await sleep(delayMs, undefined, { signal: this.draining.signal }).catch(() => undefined);
      }
    }
  }

  private async claim(limit: number): Promise<number> {
    const jobTypes = [...this.options.handlers.keys()];
    const jobs = await this.options.database.transaction({ role: "worker", actor: `worker:${this.id}` }, (tx) =>
      claim(tx, { workerId: this.id, jobTypes, limit }),
    );
    for (const job of jobs) {
      const attempt = this.executor.begin(job);
      // An earlier attempt of the same job may still be ending here.
      const key = `${job.id}:${job.attempt}`;
      const ended = this.executor.execute(attempt).then((status) => {
        this.stats[status ?? "lost"] += 1;
        this.attempts.delete(key);
        this.look();
      });
      this.attempts.set(key, { attempt, ended });
    }
    this.stats.claimed += jobs.length;
    if (jobs.length > 0) this.options.hints.send("events");
    return jobs.length;
  }

  /** Fires the signals of jobs that are to be canceled, and of those that the database no longer says are ours. */
  private heed(held: readonly BeatenJob[], startedAt: bigint): void {
    const ours = new Map(held.map((job) => [job.id, job]));
    for (const { attempt } of this.attempts.values()) {
      const job = ours.get(attempt.job.id);
      if (job?.attempt !== attempt.job.attempt) {
        if (attempt.claimedAt < startedAt) {
          attempt.abort.abort(new StopReason("lost", "The job was lost to another worker"));
        }
      } else if (job.cancel) {
        attempt.abort.abort(new StopReason("canceled", "The job was canceled"));
      }
    }
  }

  private abortAll(reason: StopReason): void {
    for (const { attempt } of this.attempts.values()) attempt.abort.abort(reason);
  }

  private async allEnded(): Promise<void> {
    await Promise.all([...this.attempts.values()].map(({ ended }) => ended));
  }

  private look(): void {
    this.hinted = true;
    this.wake?.();
  }

  private async pause(delayMs: number): Promise<void> {
    if (this.hinted || this.draining.signal.aborted) return;
    const wait = new AbortController();
    this.wake = () => wait.abort();
    await sleep(delayMs, undefined, { signal: wait.signal }).catch(() => undefined);
    this.wake = null;
  }

  private async drainBegun(): Promise<void> {
    const { signal } = this.draining;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
}
