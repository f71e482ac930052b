import type { Payload } from "../queue/read-payloads.js";
import type { Pace } from "../limits/pace.js";

/** How many bytes of inputs and outputs an answer may still have; each page of the answer takes what it reads, one page after the other. */
export class PayloadAllowance {
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param leftBytes as JSON.
   * @param tenantId of whom reads.
   * @param pace at which each tenant reads.
   */
  constructor(
    private leftBytes: number,
    private readonly tenantId: string,
    private readonly pace: Pace,
  ) {}

  /** Waits for the tenant's turn to read; to be called before a transaction begins, so that none is open while it waits. */
  async turn(): Promise<void> {
    await this.pace.turn(this.tenantId);
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
      this.pace.spend(this.tenantId, bytes);
      return { payloads, spent: this.leftBytes === 0 };
    };
    const own = this.last.then(spend);
    this.last = own.catch(() => undefined);
    return own;
  }
}
