import { setTimeout as sleep } from "node:timers/promises";

/** How fast bytes may be spent. */
export interface PacePolicy {
  bytesPerSecond: number;
  /** Up to this size at a time nothing is counted; 0 by default. */
  freeBytes?: number;
  /** So much may be spent ahead of time; 0 by default. */
  aheadBytes?: number;
  /** Nobody is in debt for longer, however much is spent at once. */
  maxDebtMs: number;
}

/** With so many keys, those without a debt are forgotten. */
const MAX_KEYS = 10_000;

/** Spreads what is done for one user or tenant over time, by the bytes of what they send or read. */
export class Pace {
  /** When the debt of each key is paid, as `performance.now()` counts. */
  private readonly debtEndsAt = new Map<string, number>();

  constructor(private readonly policy: PacePolicy) {}

  /** Tells that so much was sent or read. */
  spend(key: string, bytes: number): void {
    const { bytesPerSecond, freeBytes = 0, maxDebtMs } = this.policy;
    if (bytes <= freeBytes) return;
    const now = performance.now();
    if (this.debtEndsAt.size >= MAX_KEYS)
      for (const [old, at] of this.debtEndsAt) if (at <= now) this.debtEndsAt.delete(old);
    const debtEndsAt = Math.max(this.debtEndsAt.get(key) ?? 0, now) + (1000 * bytes) / bytesPerSecond;
    this.debtEndsAt.set(key, Math.min(debtEndsAt, now + maxDebtMs));
  }

  /** How long to wait, in milliseconds, before anything more is done. */
  waitMs(key: string): number {
    const { aheadBytes = 0, bytesPerSecond } = this.policy;
    const debtMs = (this.debtEndsAt.get(key) ?? 0) - performance.now();
    return Math.max(debtMs - (1000 * aheadBytes) / bytesPerSecond, 0);
  }

  /** Waits as long. */
  async turn(key: string): Promise<void> {
    const ms = this.waitMs(key);
    if (ms > 0) await sleep(ms);
  }
}
