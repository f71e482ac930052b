import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../log.js";
import type { WorkerIntervals } from "./intervals.js";
import { Outage } from "./outage.js";

export interface ClaimLoopOptions {
  /** Claims up to `limit` jobs, and begins them. @returns how many: if there are fewer, no more can be claimed now. */
  claim(limit: number): Promise<number>;
  freeSlots(): number;
  /** Whether claims make sense now: the worker is known to be alive. */
  ready(): boolean;
  intervals: WorkerIntervals;
  log: Logger;
}

// The part of `pollMs` that a wait is shortened by at random, so that workers that started together do not poll together.
const JITTER = 0.2;

/** Claims jobs when a hint says that there may be some, when a slot becomes free, and each `pollMs`. */
export class ClaimLoop {
  private readonly stopping = new AbortController();
  private readonly outage: Outage;
  private readonly running: Promise<void>;
  private woken = false;
  private rouse = (): void => undefined;
  private underWay = false;

  constructor(private readonly options: ClaimLoopOptions) {
    this.outage = new Outage("claiming jobs", options.log, options.intervals);
    this.running = this.run();
  }

  /** Whether a claim is under way, so that jobs may be ours that have not been begun. */
  get claiming(): boolean {
    return this.underWay;
  }

  /** There may be something to claim. */
  wake(): void {
    this.woken = true;
    this.rouse();
  }

  /** Resolves when the last claim is over. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.rouse();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.woken = false;
      const free = this.options.freeSlots();
      try {
        const claimed = free > 0 && this.options.ready() ? await this.claim(free) : 0;
        // If every slot is filled, the loop is woken when one becomes free.
        if (claimed < free || this.options.freeSlots() <= 0) await this.pause();
      } catch (error) {
        const { signal } = this.stopping;
        await sleep(this.outage.failed(error), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async claim(limit: number): Promise<number> {
    this.underWay = true;
    try {
      const claimed = await this.options.claim(limit);
      this.outage.succeeded();
      return claimed;
    } finally {
      this.underWay = false;
    }
  }

  private async pause(): Promise<void> {
    if (this.woken || this.stopping.signal.aborted) return;
    const waiting = new AbortController();
    this.rouse = () => waiting.abort();
    const delayMs = this.options.intervals.pollMs * (1 - JITTER * Math.random());
    await sleep(delayMs, undefined, { signal: waiting.signal }).catch(() => undefined);
  }
}
