import { AtlasError } from "../errors.js";
import type { Logger } from "../log.js";
import { type Authenticator, memberKey } from "./authenticator.js";
import type { Viewer } from "./viewer.js";

/** Why a viewer may no longer watch. */
export type MembershipEnd = "expired" | "removed";

/** How many streams there may be in this process. */
export interface StreamLimits {
  perUser: number;
  perTenant: number;
}

/** Without the tolerance of the clock that a request has: a stream would end at once, to be begun again and again. */
export function hasExpired({ expiresAt }: Viewer): boolean {
  return expiresAt.getTime() <= Date.now();
}

const CHECK_MS = 2_000;
const RETRY_AFTER_SECONDS = 10;
/** The longest that a timer can be set for. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A request's viewer is checked each time; a stream lives on, so its viewer is looked at again and again: it ends when
 * the token expires, and within seconds of the membership's removal. Each user and each tenant may have so many.
 */
export class MembershipWatch {
  private readonly followed = new Map<object, { viewer: Viewer; end: (why: MembershipEnd) => void }>();
  private readonly counts = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly limits: StreamLimits,
    private readonly log: Logger,
  ) {
    this.timer = setInterval(() => void this.check(), CHECK_MS).unref();
  }

  /**
   * Calls `end` once, when the viewer's time is over.
   * @returns what stops the watch, for a stream that ends by itself.
   * @throws AtlasError `invalid_token` when the token has expired, `rate_limit_exceeded` when the user or the tenant has as many streams as they may.
   */
  follow(viewer: Viewer, end: (why: MembershipEnd) => void): () => boolean {
    if (hasExpired(viewer)) {
      throw new AtlasError("invalid_token", "The bearer token is not valid: it has expired");
    }
    this.refuseTooMany(viewer);
    const key = {};
    const stop = (): boolean => {
      clearTimeout(expiry);
      const followed = this.followed.delete(key);
      if (followed) this.count(viewer, -1);
      return followed;
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
    this.count(viewer, 1);
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

  private refuseTooMany(viewer: Viewer): void {
    const { perUser, perTenant } = this.limits;
    for (const [key, limit, whose] of [
      [memberKey(viewer), perUser, "user"],
      [viewer.tenantId, perTenant, "tenant"],
    ] as const) {
      if ((this.counts.get(key) ?? 0) < limit) continue;
      throw new AtlasError("rate_limit_exceeded", `A ${whose} may have ${limit} sockets and event streams`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
  }

  private count(viewer: Viewer, change: 1 | -1): void {
    for (const key of [memberKey(viewer), viewer.tenantId]) {
      const count = (this.counts.get(key) ?? 0) + change;
      if (count === 0) this.counts.delete(key);
      else this.counts.set(key, count);
    }
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
