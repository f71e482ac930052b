import type { Logger } from "../log.js";
import { type Authenticator, memberKey } from "./authenticator.js";
import { ExpiredTokenError } from "./expired-token-error.js";
import { type SlotLimits, Slots } from "../limits/slots.js";
import type { Viewer } from "./viewer.js";

/** Why a viewer may no longer watch. */
export type MembershipEnd = "expired" | "removed";

const CHECK_MS = 2_000;
/** The longest that a timer can be set for. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A request's viewer is checked each time; a stream lives on, so its viewer is looked at again and again: it ends when
 * the token expires, and within seconds of the membership's removal. Each user and each tenant may have so many.
 */
export class MembershipWatch {
  private readonly followed = new Map<object, { viewer: Viewer; end: (why: MembershipEnd) => void }>();
  private readonly slots: Slots;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly authenticator: Authenticator,
    limits: SlotLimits,
    private readonly log: Logger,
  ) {
    this.slots = new Slots(limits, "sockets, event streams and waiting requests");
    this.timer = setInterval(() => void this.check(), CHECK_MS).unref();
  }

  /**
   * Calls `end` once, when the viewer's time is over.
   * @returns what stops the watch, for a stream that ends by itself.
   * @throws ExpiredTokenError when the token has expired; AtlasError `rate_limit_exceeded` when the user or the tenant has as many streams as they may.
   */
  follow(viewer: Viewer, end: (why: MembershipEnd) => void): () => boolean {
    // Without the tolerance of the clock that a request has: a stream would end at once, to be begun again and again.
    if (viewer.expiresAt.getTime() <= Date.now()) throw new ExpiredTokenError();
    const leave = this.slots.enter({ user: memberKey(viewer), tenant: viewer.tenantId });
    const key = {};
    const stop = (): boolean => {
      clearTimeout(expiry);
      leave();
      return this.followed.delete(key);
    };
    const endOnce = (why: MembershipEnd): void => {
      if (stop()) end(why);
    };
    let expiry: NodeJS.Timeout;
    const expire = (): void => {
      const leftMs = viewer.expiresAt.getTime() - Date.now();
      if (leftMs <= 0) endOnce("expired");
      else expiry = setTimeout(expire, Math.min(leftMs, MAX_TIMER_MS)).unref();
    };
    this.followed.set(key, { viewer, end: endOnce });
    expiry = setTimeout(expire, 0).unref();
    return stop;
  }

  /** How many streams are followed. */
  get size(): number {
    return this.followed.size;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async check(): Promise<void> {
    const followed = [...this.followed.values()];
    if (followed.length === 0) return;
    try {
      const members = await this.authenticator.stillMembers(followed.map(({ viewer }) => viewer));
      for (const { viewer, end } of followed) if (!members.has(memberKey(viewer))) end("removed");
    } catch (error) {
      this.log.warn({ err: error }, "memberships could not be checked; they are again in a moment");
    }
  }
}
