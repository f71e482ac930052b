import { AtlasError } from "../errors.js";
import { SLOTS } from "./policies.js";

/** How many there may be at once in this process. */
export interface SlotLimits {
  perUser: number;
  perTenant: number;
}

/** So many of a kind at once for each user, and for each tenant. */
export class Slots {
  private readonly counts = new Map<string, number>();

  /** @param what they are, for the errors: "subscriptions on sockets". */
  constructor(
    private readonly limits: SlotLimits,
    private readonly what: string,
  ) {}

  /**
   * Takes one.
   * @param owner `user` names a member: the same user in another tenant is another one.
   * @returns what gives it back; calling it again does nothing.
   * @throws AtlasError `rate_limit_exceeded` when the user or the tenant has as many as they may
   */
  enter(owner: { user: string; tenant: string }): () => void {
    const { perUser, perTenant } = this.limits;
    for (const [key, limit, whose] of [
      [owner.user, perUser, "user"],
      [owner.tenant, perTenant, "tenant"],
    ] as const) {
      if ((this.counts.get(key) ?? 0) < limit) continue;
      throw new AtlasError("rate_limit_exceeded", `A ${whose} may have ${limit} ${this.what}`, {
        retryAfterSeconds: SLOTS.retryAfterSeconds,
      });
    }
    this.count(owner, 1);
    let left = false;
    return () => {
      if (!left) this.count(owner, -1);
      left = true;
    };
  }

  private count({ user, tenant }: { user: string; tenant: string }, change: 1 | -1): void {
    for (const key of [user, tenant]) {
      const count = (this.counts.get(key) ?? 0) + change;
      if (count === 0) this.counts.delete(key);
      else this.counts.set(key, count);
    }
  }
}
