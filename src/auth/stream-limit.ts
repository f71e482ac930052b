import { AtlasError } from "../errors.js";
import { memberKey } from "./authenticator.js";
import type { Viewer } from "./viewer.js";

/** How many streams there may be in this process. */
export interface StreamLimits {
  perUser: number;
  perTenant: number;
}

const RETRY_AFTER_SECONDS = 10;

/** So many streams of a kind for each user, and for each tenant. */
export class StreamLimit {
  private readonly counts = new Map<string, number>();

  /** @param what they are, for the errors: "sockets and event streams". */
  constructor(
    private readonly limits: StreamLimits,
    private readonly what: string,
  ) {}

  /**
   * Counts a stream of the viewer's.
   * @returns what counts it no more; calling it again does nothing.
   * @throws AtlasError `rate_limit_exceeded` when the user or the tenant has as many as they may
   */
  enter(viewer: Viewer): () => void {
    const { perUser, perTenant } = this.limits;
    for (const [key, limit, whose] of [
      [memberKey(viewer), perUser, "user"],
      [viewer.tenantId, perTenant, "tenant"],
    ] as const) {
      if ((this.counts.get(key) ?? 0) < limit) continue;
      throw new AtlasError("rate_limit_exceeded", `A ${whose} may have ${limit} ${this.what}`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    this.count(viewer, 1);
    let left = false;
    return () => {
      if (!left) this.count(viewer, -1);
      left = true;
    };
  }

  private count(viewer: Viewer, change: 1 | -1): void {
    for (const key of [memberKey(viewer), viewer.tenantId]) {
      const count = (this.counts.get(key) ?? 0) + change;
      if (count === 0) this.counts.delete(key);
      else this.counts.set(key, count);
    }
  }
}
