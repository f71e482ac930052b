import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import type { Handlers } from "../handlers/handler.js";
import type { Logger } from "../log.js";
import { claim, type TypeSettings } from "../queue/claim.js";
import { Attempt } from "./attempt.js";
import { Attempts } from "./attempts.js";
import { Beat } from "./beat.js";
import type { BeatenJob } from "./beat-thread.js";
import { Executor } from "./executor.js";
import { INTERVALS, type WorkerIntervals } from "./intervals.js";
import { ClaimLoop } from "./loop.js";
import { Maintenance } from "./maintenance.js";
import { Settler } from "./settler.js";
import { StopReason } from "./stop-reason.js";
import { endStrays } from "./strays.js";
import { WorkerCounts, type WorkerStats } from "./worker-counts.js";

export interface WorkerOptions {
  database: Database;
  /** The same database's address: the beat has a connection of its own. */
  databaseUrl: string;
  hints: Hints;
  handlers: Handlers;
  log: Logger;
  /** Jobs at once, at most. */
  concurrency: number;
  /** The part of these after which a tenant gets only what no other tenant can use, over 0 up to 1; at least one. */
  tenantShare: number;
  jobTimeoutMs: number;
  /** How long a drain lets running jobs go on. */
  shutdownGraceMs: number;
  retentionDays: number;
  /** By default in memory of its own. */
  counts?: WorkerCounts;
  /** For tests. */
  intervals?: Partial<WorkerIntervals>;
}

/** Starts a worker. It registers itself, claims and maintains the queue from now on, whether the database is there or not. */
export function startWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}

/** Claims jobs that it has handlers for, never more than it has free slots, and runs them. */
export class Worker {
  readonly id = randomUUID();
  private readonly counts: WorkerCounts;
  private readonly attempts = new Attempts();
  private readonly over = new AbortController();
  private readonly intervals: WorkerIntervals;
  private readonly log: Logger;
  private readonly executor: Executor;
  private readonly beat: Beat;
  private readonly loop: ClaimLoop;
  private readonly maintenance: Maintenance;
  private readonly settings: Record<string, TypeSettings>;
  private readonly stopHints: (() => void)[];
  /** Whose turn was the last. Workers that start together begin at tenants of their own. */
  private lastTenantId: string | null = randomUUID();
  private endingStrays = false;
  private drained: Promise<void> | null = null;

  constructor(private readonly options: WorkerOptions) {
    const { database, databaseUrl, hints, handlers, concurrency } = options;
    this.intervals = { ...INTERVALS, ...options.intervals };
    this.settings = settingsOf(handlers);
    this.counts = options.counts ?? new WorkerCounts();
    this.log = options.log.child({ workerId: this.id });
    const parts = { ...options, intervals: this.intervals, log: this.log };
    const settler = new Settler({ database, hints, workerId: this.id });
    this.executor = new Executor({ ...parts, settler, over: this.over.signal });
    this.beat = new Beat({
      ...parts,
      url: databaseUrl,
      role: database.roleName("worker"),
      worker: { id: this.id, name: `${hostname()}:${process.pid}`, jobTypes: [...handlers.keys()] },
      onBeat: (held, askedAt) => this.reconcile(held, askedAt),
      onSilence: () => this.attempts.stopAll(new StopReason("lost", "The worker cannot reach the database")),
    });
    this.loop = new ClaimLoop({
      ...parts,
      claim: (limit) => this.claim(limit),
      freeSlots: () => concurrency - this.running,
      // A worker without a beat must not claim: the others would take its jobs away.
      ready: () => !this.beat.silent,
    });
    void this.beat.registered.then(() => this.loop.wake());
    this.maintenance = new Maintenance({ ...parts, unbrokenMs: () => this.beat.unbrokenMs });
    this.stopHints = [hints.on("queued", () => this.loop.wake()), hints.on("canceling", () => this.beat.beatNow())];
  }

  get stats(): WorkerStats {
    return this.counts.stats;
  }

  /** How many jobs run now. */
  get running(): number {
    return this.attempts.count;
  }

  /**
   * Stops claiming, lets running jobs end within the grace, fires the signals of the rest and hands them back, and signs
   * off. Bounded by the grace and some seconds, whatever the handlers and the database do.
   */
  drain(): Promise<void> {
    return (this.drained ??= this.end());
  }

  private async end(): Promise<void> {
    const { shutdownGraceMs } = this.options;
    const idle = this.loop.stop().then(() => this.attempts.allEnded());
    await within(shutdownGraceMs, idle);
    if (this.running > 0) {
      this.log.warn({ running: this.running }, "handing back jobs that have not ended in time");
      this.attempts.stopAll(new StopReason("shutdown", "The worker is shutting down"));
      // After `cutOffMs` handlers that ignore the signal are not waited for; then their jobs are released.
      await within(this.intervals.cutOffMs * 1.5, idle);
    }
    this.over.abort();
    for (const stop of this.stopHints) stop();
    await within(this.intervals.cutOffMs, this.maintenance.stop());
    await this.beat.end();
  }

  private async claim(limit: number): Promise<number> {
    const { database, handlers, hints, concurrency, tenantShare } = this.options;
    const { jobs, lastTenantId } = await database.transaction({ role: "worker", actor: `worker:${this.id}` }, (tx) =>
      claim(tx, {
        workerId: this.id,
        jobTypes: [...handlers.keys()],
        limit,
        settings: this.settings,
        lastTenantId: this.lastTenantId,
        running: this.attempts.countByTenant(),
        tenantShare: Math.max(Math.floor(concurrency * tenantShare), 1),
      }),
    );
    // The worker has ended, or other workers may have rescued the jobs by now: they are left to a rescue or to `endStrays`.
    if (this.over.signal.aborted || this.beat.silent) return 0;
    this.lastTenantId = lastTenantId;
    // Before the handlers begin, which may block the event loop at once.
    this.counts.add("claimed", jobs.length);
    if (jobs.length > 0) hints.send("events");
    for (const job of jobs) {
      const attempt = new Attempt(job, this.id, this.log);
      void this.attempts.add(attempt, this.execute(attempt)).then(() => this.loop.wake());
    }
    return jobs.length;
  }

  private async execute(attempt: Attempt): Promise<void> {
    const status = await this.executor.execute(attempt);
    this.counts.add(status ?? "lost");
  }

  /** Compares the jobs that this worker runs with the jobs that the database says it runs. */
  private reconcile(held: readonly BeatenJob[], askedAt: bigint): void {
    const strays = this.attempts.reconcile(held, askedAt);
    if (strays.length > 0 && !this.loop.claiming && !this.over.signal.aborted) void this.endStrays(strays);
  }

  private async endStrays(strays: readonly BeatenJob[]): Promise<void> {
    if (this.endingStrays) return;
    this.endingStrays = true;
    try {
      const ended = await endStrays(this.options.database, this.id, strays);
      if (ended > 0) {
        this.log.warn({ jobs: ended }, "handed back jobs that this worker had lost sight of");
        this.options.hints.send("queued", "events");
      }
    } catch (error) {
      this.log.warn({ err: error }, "jobs that this worker has lost sight of stay with it until the next beat");
    }
    this.endingStrays = false;
  }
}

/** What the claim of a job decides by its type; types that name nothing are left out. */
function settingsOf(handlers: Handlers): Record<string, TypeSettings> {
  const settings = [...handlers].map(
    ([jobType, { maxAttempts, timeoutMs }]) => [jobType, { maxAttempts, timeoutMs }] as const,
  );
  return Object.fromEntries(settings.filter(([, named]) => Object.values(named).some((value) => value !== null)));
}

/** Waits for `work`, but not longer than `boundMs`. */
async function within(boundMs: number, work: Promise<void>): Promise<void> {
  const bound = new AbortController();
  await Promise.race([work, sleep(boundMs, undefined, { signal: bound.signal, ref: false }).catch(() => undefined)]);
  bound.abort();
}
