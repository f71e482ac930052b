import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker as Thread } from "node:worker_threads";
import type { Logger } from "../log.js";
import { BEGIN } from "../database/begin.js";
import { BEAT, SIGN_OFF } from "../queue/beat.js";
import type { BeatCommand, BeatenJob, BeatMessage, BeatSetup } from "./beat-thread.js";
import type { WorkerIntervals } from "./intervals.js";
import { Outage } from "./outage.js";

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
  /** No beat has succeeded for `silentMs`; called again and again while that lasts. */
  onSilence(): void;
}

const THREAD = new URL(`./beat-thread${extname(import.meta.url)}`, import.meta.url);
const RESTART_MS = 1_000;
const SIGN_OFF_BOUND_MS = 5_000;

/** A worker's heartbeat, on a thread of its own so that a busy handler does not stop it. */
export class Beat {
  private readonly setup: BeatSetup;
  private readonly watchdog: NodeJS.Timeout;
  private readonly outage: Outage;
  private readonly first = Promise.withResolvers<void>();
  private thread: Thread;
  private ended = false;

  constructor(private readonly options: BeatOptions) {
    const { url, role, worker, intervals, log } = options;
    this.setup = {
      url,
      begin: BEGIN,
      role,
      beat: BEAT,
      values: [worker.id, worker.name, worker.jobTypes],
      signOff: SIGN_OFF,
      beatMs: intervals.beatMs,
      silentMs: intervals.silentMs,
      times: new BigInt64Array(new SharedArrayBuffer(3 * BigInt64Array.BYTES_PER_ELEMENT)),
    };
    this.outage = new Outage("the worker's beat", log, intervals);
    this.thread = this.startThread();
    this.watchdog = setInterval(() => this.watch(), Math.max(intervals.silentMs / 8, 10)).unref();
  }

  /** Resolves when the worker is registered; stays pending while the database is away. */
  get registered(): Promise<void> {
    return this.first.promise;
  }

  /** Whether no beat has succeeded for `silentMs`. */
  get silent(): boolean {
    const silentNs = process.hrtime.bigint() - Atomics.load(this.setup.times, 0);
    return Number(silentNs) / 1e6 >= this.options.intervals.silentMs;
  }

  /** For how long, in ms, beats have come without a break; 0 when they do not. */
  get unbrokenMs(): number {
    const [last, since] = [1, 2].map((index) => Number(Atomics.load(this.setup.times, index))) as [number, number];
    const now = Date.now();
    return since === 0 || now - last > this.options.intervals.silentMs ? 0 : now - since;
  }

  /** Beats at once. */
  beatNow(): void {
    this.command("now");
  }

  /** Signs off and ends the thread; bounded, since a worker that could not sign off is found dead in time. */
  async end(): Promise<void> {
    this.ended = true;
    clearInterval(this.watchdog);
    const over = new Promise<void>((resolve) => this.thread.once("exit", () => resolve()));
    this.command("signOff");
    await Promise.race([over, sleep(SIGN_OFF_BOUND_MS, undefined, { ref: false })]);
    await this.thread.terminate();
  }

  private startThread(): Thread {
    const thread = new Thread(THREAD, { workerData: this.setup, execArgv: [] });
    thread.on("message", (message: BeatMessage) => this.receive(message));
    thread.on("error", (error) => this.options.log.error({ err: error }, "the beat's thread failed"));
    thread.on("exit", () => {
      if (this.ended) return;
      setTimeout(() => {
        if (!this.ended) this.thread = this.startThread();
      }, RESTART_MS).unref();
    });
    thread.unref();
    return thread;
  }

  private command(command: BeatCommand): void {
    this.thread.postMessage(command);
  }

  private receive(message: BeatMessage): void {
    if (this.ended) return;
    if (message.kind === "missed") {
      this.outage.failed(message.message);
      return;
    }
    this.outage.succeeded();
    this.first.resolve();
    this.options.onBeat(message.held, message.startedAt);
  }

  private watch(): void {
    if (this.silent) this.options.onSilence();
  }
}
