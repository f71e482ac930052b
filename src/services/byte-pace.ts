import { setTimeout as sleep } from "node:timers/promises";
import { RateLimiterMemory } from "rate-limiter-flexible";

/** Up to this size nobody waits: what takes a moment to parse holds nobody else up. */
const FREE_BYTES = 1024 * 1024;
const BYTES_PER_SECOND = 8 * FREE_BYTES;
/** However many read at once. */
const MAX_WAIT_SECONDS = 2;

/** Spreads large JSON of one user or tenant over time: to parse and write it keeps everybody else waiting. */
export class BytePace {
  private readonly debts = new RateLimiterMemory({ points: 1, duration: 1 });

  /** Waits until what was spent before is made up for. */
  async turn(key: string): Promise<void> {
    const debt = await this.debts.get(key);
    if (debt !== null) await sleep(debt.msBeforeNext);
  }

  /** Tells that so much was read or sent. */
  async spend(key: string, bytes: number): Promise<void> {
    if (bytes <= FREE_BYTES) return;
    const debt = await this.debts.get(key);
    const seconds = (debt?.msBeforeNext ?? 0) / 1000 + bytes / BYTES_PER_SECOND;
    await this.debts.block(key, Math.min(seconds, MAX_WAIT_SECONDS));
  }
}
