import type { Logger } from "../log.js";
import type { WorkerIntervals } from "./intervals.js";

/** Failures in a row of one kind of work: logged when they begin, change or end; the wait after each doubles up to a bound. */
export class Outage {
  private failures = 0;
  private lastReason = "";

  /** @param work what fails, as the log names it: `claiming jobs`. */
  constructor(
    private readonly work: string,
    private readonly log: Logger,
    private readonly intervals: Pick<WorkerIntervals, "retryMinMs" | "retryMaxMs">,
  ) {}

  /** @returns how long to wait before the next try, in ms. */
  failed(error: unknown): number {
    const reason = error instanceof Error ? error.message : String(error);
    const level = reason === this.lastReason ? "debug" : "warn";
    this.log[level]({ err: error }, `${this.work} fails; it is tried again`);
    this.lastReason = reason;
    return Math.min(this.intervals.retryMinMs * 2 ** this.failures++, this.intervals.retryMaxMs);
  }

  succeeded(): void {
    if (this.failures > 0) this.log.info({ failures: this.failures }, `${this.work} works again`);
    this.failures = 0;
    this.lastReason = "";
  }
}
