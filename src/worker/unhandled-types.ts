import type { Logger } from "../log.js";
import type { Unhandled } from "../queue/count-unhandled.js";

const REPEAT_MS = 3_600_000;

/** Logs job types that no worker handles: at the second look, since a worker may only be restarting, then once an hour. */
export class UnhandledTypes {
  /** By type, when it was last told; null: it has been seen once. Those that have gone are forgotten. */
  private toldAt = new Map<string, number | null>();

  constructor(private readonly log: Logger) {}

  /** Takes what a look has found. */
  found(unhandled: readonly Unhandled[]): void {
    const now = performance.now();
    this.toldAt = new Map(unhandled.map((one) => [one.jobType, this.tell(one, now)]));
  }

  private tell(one: Unhandled, now: number): number | null {
    const toldAt = this.toldAt.get(one.jobType);
    if (toldAt === undefined) return null;
    if (toldAt !== null && now - toldAt < REPEAT_MS) return toldAt;
    this.log.warn({ ...one }, "no worker handles this job type: its jobs wait");
    return now;
  }
}
