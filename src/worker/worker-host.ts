import { setTimeout as sleep } from "node:timers/promises";
import { Worker as Thread } from "node:worker_threads";
import { type Config, ConfigError } from "../config.js";
import type { Database } from "../database/database.js";
import type { Logger } from "../log.js";
import { readHeld } from "../queue/read-held.js";
import { INTERVALS } from "./intervals.js";
import { endAllHeld } from "./strays.js";
import { WorkerCounts, type WorkerStats } from "./worker-counts.js";
import type { WorkerCommand, WorkerReport, WorkerSetup } from "./worker-thread.js";

const THREAD = new URL("./worker-thread.js", import.meta.url);
/** The wait before the thread is started again; it doubles up to the longest while starts fail. */
const RESTART_MS = 1_000;
const MAX_RESTART_MS = 30_000;
/** How long a drain may take after the grace: for handlers that ignore their signals, and a database that is away. */
const DRAIN_PAST_GRACE_MS = 20_000;
/** Between two looks whether the thread's event loop turns: as often as it counts its turns. */
const LOOK_MS = 250;
/** After so many looks in a row without a turn, 1.25 s in all, the event loop counts as blocked. */
const BLOCKED_LOOKS = 5;
const MAX_NAMED = 10;

/**
 * Runs the process's worker on a thread of its own, with database connections of its own: a busy handler holds up no
 * request. A thread that fails, that a handler ends, or that a handler blocks past its timeout, is ended with all its
 * attempts and started again.
 */
export class WorkerHost {
  private readonly counts = new WorkerCounts();
  private readonly loaded = Promise.withResolvers<void>();
  private readonly working = Promise.withResolvers<string>();
  private readonly limits: { defaultTimeoutMs: number; graceMs: number };
  private thread: Thread;
  private exited = Promise.withResolvers<void>();
  private database: { database: Database; url: string } | null = null;
  private workerId: string | null = null;
  private failedStarts = 0;
  private looking: NodeJS.Timeout | undefined;
  private seenTurns = 0;
  private stillLooks = 0;
  private drained: Promise<void> | null = null;

  private constructor(
    private readonly config: Config,
    private readonly log: Logger,
  ) {
    // As for a rescue: by then the handler has ignored its signal, or blocks the event loop so that it could not fire.
    const graceMs = INTERVALS.cutOffMs + INTERVALS.beatMs;
    this.limits = { defaultTimeoutMs: config.jobTimeoutMs, graceMs };
    // Without this, a rejection that no caller waits for would end the process.
    for (const { promise } of [this.loaded, this.working]) promise.catch(() => undefined);
    this.thread = this.startThread();
  }

  /**
   * Starts the thread and has it load the handlers; it claims nothing yet.
   * @throws {ConfigError} naming every handler that cannot be used.
   */
  static async open(config: Config, log: Logger): Promise<WorkerHost> {
    const host = new WorkerHost(config, log);
    await host.loaded.promise;
    return host;
  }

  /** How many jobs run now. */
  get running(): number {
    return this.counts.running;
  }

  get stats(): WorkerStats {
    return this.counts.stats;
  }

  /**
   * Begins to work.
   * @param database a migrated one, and its address.
   * @returns the worker's id.
   */
  async work(database: Database, url: string): Promise<string> {
    this.database = { database, url };
    this.command({ kind: "work", databaseUrl: url });
    return this.working.promise;
  }

  /** Drains the worker and ends its thread. Bounded, also when a handler never gives the thread's event loop back. */
  drain(): Promise<void> {
    return (this.drained ??= this.end());
  }

  private async end(): Promise<void> {
    this.command({ kind: "drain" });
    const bound = sleep(this.config.shutdownGraceMs + DRAIN_PAST_GRACE_MS, "late", { ref: false });
    if ((await Promise.race([this.exited.promise, bound])) === "late") {
      this.log.warn({ running: this.running }, "the worker does not end, and is cut off");
      await this.thread.terminate();
    }
    // A handler may have ended the thread before the drain was over.
    if (this.running > 0) await this.giveUpAttempts();
  }

  private startThread(): Thread {
    const setup: WorkerSetup = { config: this.config, counts: this.counts.memory };
    const thread = new Thread(THREAD, { workerData: setup, execArgv: [] });
    const exited = Promise.withResolvers<void>();
    this.exited = exited;
    let failure: Error | null = null;
    thread.on("message", (report: WorkerReport) => {
      if (report.kind === "refused") failure = new ConfigError(report.problem);
      else if (report.kind === "loaded") this.loaded.resolve();
      else this.begun(report.workerId);
    });
    thread.on("error", (error: Error) => (failure = error));
    thread.on("exit", (code) => {
      clearInterval(this.looking);
      exited.resolve();
      void this.ended(failure ?? new Error(`the worker's thread ended with code ${code}`));
    });
    return thread;
  }

  private begun(workerId: string): void {
    this.workerId = workerId;
    this.failedStarts = 0;
    this.stillLooks = 0;
    this.looking = setInterval(() => this.look(), LOOK_MS).unref();
    this.working.resolve(workerId);
  }

  private async ended(err: Error): Promise<void> {
    this.loaded.reject(err);
    this.working.reject(err);
    if (this.workerId === null || this.drained !== null) return;
    this.log.error({ err, running: this.running }, "the worker's thread has ended, and is started again");
    await this.giveUpAttempts();
    await sleep(Math.min(RESTART_MS * 2 ** this.failedStarts, MAX_RESTART_MS));
    this.failedStarts += 1;
    if (this.drained !== null || this.database === null) return;
    this.thread = this.startThread();
    this.command({ kind: "work", databaseUrl: this.database.url });
  }

  /** Ends the attempts that the thread left behind. While the database is away, the other workers' rescue does. */
  private async giveUpAttempts(): Promise<void> {
    this.counts.add("lost", this.running);
    const { database, workerId } = this;
    if (database === null || workerId === null) return;
    await endAllHeld(database.database, workerId, this.limits).catch((err: unknown) => {
      this.log.warn({ err }, "jobs of the worker's thread are left to the rescue");
    });
  }

  /** Looks whether the thread's event loop has turned; the same count over and over says that a handler blocks it. */
  private look(): void {
    const { turns } = this.counts;
    const still = turns === this.seenTurns;
    if (!still && this.stillLooks >= BLOCKED_LOOKS) {
      this.log.warn({ blockedMs: this.stillLooks * LOOK_MS }, "the worker's event loop turns again");
    }
    this.seenTurns = turns;
    this.stillLooks = still ? this.stillLooks + 1 : 0;
    if (this.stillLooks > 0 && this.stillLooks % BLOCKED_LOOKS === 0) {
      const first = this.stillLooks === BLOCKED_LOOKS;
      void this.askWhoBlocks(first).catch((err: unknown) => {
        this.log.warn({ err }, "a handler blocks the worker's event loop; which one cannot be told");
      });
    }
  }

  private async askWhoBlocks(first: boolean): Promise<void> {
    const { database, workerId, thread } = this;
    if (database === null || workerId === null) return;
    const held = await database.database.transaction({ role: "worker", actor: "system" }, (tx) =>
      readHeld(tx, workerId, this.limits),
    );
    const jobs = held.slice(0, MAX_NAMED).map(({ id, ...rest }) => ({ jobId: id, ...rest }));
    if (first) {
      const line = { workerId, running: held.length, jobs };
      this.log.warn(line, "a handler blocks the worker's event loop, which holds up all that the worker does");
    }
    if (!held.some(({ overdue }) => overdue) || this.stillLooks < BLOCKED_LOOKS) return;
    this.log.error({ workerId, jobs }, "a handler has blocked the worker past its job's timeout; the worker is ended");
    await thread.terminate();
  }

  private command(command: WorkerCommand): void {
    this.thread.postMessage(command);
  }
}
