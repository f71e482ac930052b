import { setTimeout as sleep } from "node:timers/promises";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Payload } from "../queue/read-payloads.js";

/** How much input and output an answer may have: what its pages read is taken off, one page after the other. */
export class PayloadAllowance {
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param leftBytes as JSON.
   * @param pace of the tenant that reads; null: as fast as can be.
   */
  constructor(
    private leftBytes: number,
    private readonly pace: TenantPace | null,
  ) {}

  /** Waits until its tenant may read on; to be called before a transaction is begun. */
  async turn(): Promise<void> {
    await this.pace?.turn();
  }

  /**
   * Reads payloads, as many as there is room for.
   * @param read gives at least one, also when it is told that there is room for none.
   * @returns them, and whether there is no more room now.
   */
  async spend(read: (maxBytes: number) => Promise<Payload[]>): Promise<{ payloads: Payload[]; spent: boolean }> {
    const spend = async (): Promise<{ payloads: Payload[]; spent: boolean }> => {
      const payloads = await read(this.leftBytes);
      const bytes = payloads.reduce((sum, payload) => sum + payload.bytes, 0);
      this.leftBytes = Math.max(this.leftBytes - bytes, 0);
      await this.pace?.spend(bytes);
      return { payloads, spent: this.leftBytes === 0 };
    };
    const own = this.last.then(spend);
    this.last = own.catch(() => undefined);
    return own;
  }
}

/** Pages up to this size hold nobody up. */
const FREE_BYTES = 1024 * 1024;
const BYTES_PER_SECOND = 8 * FREE_BYTES;

/** When a tenant may read on, and what it has read. */
interface TenantPace {
  turn(): Promise<void>;
  spend(bytes: number): Promise<void>;
}

/** Spreads what a tenant reads of large payloads over time: to parse and write them keeps everybody else waiting. */
export class PayloadPace {
  private readonly seconds = new RateLimiterMemory({ points: BYTES_PER_SECOND, duration: 1 });

  of(tenantId: string): TenantPace {
    return {
      turn: async () => {
        const spent = await this.seconds.get(tenantId);
        if (spent !== null && spent.consumedPoints >= BYTES_PER_SECOND) await sleep(spent.msBeforeNext);
      },
      spend: async (bytes) => {
        if (bytes > FREE_BYTES) await this.seconds.penalty(tenantId, bytes);
      },
    };
  }
}
