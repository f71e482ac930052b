import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker as Thread } from "node:worker_threads";
import type { Logger } from "../log.js";
import { BEAT, SIGN_OFF } from "../queue/beat.js";
import type { BeatCommand, BeatenJob, BeatMessage, BeatSetup } from "./beat-thread.js";
import type { WorkerIntervals } from "./intervals.js";

export interface BeatOptions {
  /** The database's address: the beat has a connection of its own. */
  url: string;
  /** The cluster's role that it acts in. */
  role: string;
  worker: { id: string; name: string; jobTypes: readonly string[] };
  intervals: WorkerIntervals;
  log: Logger;
  /** What the database says this worker held at `startedAt` (`process.hrtime.bigint`) or later. */
  onBeat(held: readonly BeatenJob[], startedAt: bigint): void;
  /** No beat has succeeded for `silentMs`. */
  onSilence(): void;
}

const SIGN_OFF_BOUND_MS = 5_000;

/** A worker's sign of life, from a thread of its own so that a busy handler does not stop it. */
export class Beat {
  private readonly thread: Thread;
  private readonly watchdog: NodeJS.Timeout;
  private lastBeatAt = performance.now();
  private unbrokenSince: number | null = null;
  private ended = false;
  private readonly first = Promise.withResolvers<void>();

  constructor(private readonly options: BeatOptions) {
    const { url, role, worker, intervals, log } = options;
    const setup: BeatSetup = {
      url,
      role,
      beat: BEAT,
      values: [worker.id, worker.name, worker.jobTypes],
      signOff: SIGN_OFF,
      beatMs: intervals.beatMs,
    };
    this.thread = new Thread(new URL(`./beat-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: setup,
      execArgv: [],
    });
    this.thread.on("message", (message: BeatMessage) => this.receive(message));
    this.thread.on("error", (error) => log.error({ err: error }, "the beat's thread failed"));
    this.thread.unref();
    this.watchdog = setInterval(() => this.listen(), Math.max(intervals.silentMs / 8, 10)).unref();
  }

  /** Resolves when the worker is registered; stays pending while the database is away. */
  get registered(): Promise<void> {
    return this.first.promise;
  }

  /** For how long, in ms, beats have come without a break; 0 when they do not. */
  get unbrokenMs(): number {
    return this.unbrokenSince === null ? 0 : performance.now() - this.unbrokenSince;
  }

  /** Beats at once. */
  beatNow(): void {
    this.command("now");
  }

  /** Signs off and ends the thread; bounded, since a worker that does not sign off is found dead in time. */
  async end(): Promise<void> {
    this.ended = true;
    clearInterval(this.watchdog);
    const over = new Promise<void>((resolve) => this.thread.once("exit", () => resolve()));
    this.command("signOff");
    await Promise.race([over, sleep(SIGN_OFF_BOUND_MS, undefined, { ref: false })]);
    await this.thread.terminate();
  }

  /** Ends the thread without a word, as a crash would; for tests. */
  async kill(): Promise<void> {
    this.ended = true;
    clearInterval(this.watchdog);
    await this.thread.terminate();
  }

  private command(command: BeatCommand): void {
    this.thread.postMessage(command);
  }

  private receive(message: BeatMessage): void {
    if (this.ended) return;
    if (message.kind === "beat") {
      this.lastBeatAt = performance.now();
      this.unbrokenSince ??= this.lastBeatAt;
      this.first.resolve();
      this.options.onBeat(message.held, message.startedAt);
    } else if (message.kind === "missed") {
      this.unbrokenSince = null;
      this.options.log.warn({ reason: message.message }, "a beat did not reach the database");
    }
  }

  private listen(): void {
    if (performance.now() - this.lastBeatAt < this.options.intervals.silentMs) return;
    this.unbrokenSince = null;
    this.options.onSilence();
  }
}
