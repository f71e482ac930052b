import { createHash } from "node:crypto";
import { RateLimiterPostgres, RateLimiterRes } from "rate-limiter-flexible";
import type { Viewer } from "../auth/viewer.js";
import type { Database } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { CREATES } from "../limits/policies.js";

/** What is left of a member's creates in the running minute. */
export interface Allowance {
  limit: number;
  remaining: number;
  /** Until the allowance is whole again. */
  resetSeconds: number;
  windowSeconds: number;
}

/** Called with what is left of the minute, also when the create is refused; not called for a replay, which costs nothing. */
export type OnAllowance = (allowance: Allowance) => void;

/** The allowance as response headers: the standard's `RateLimit` fields, and the three that older clients read. */
export function allowanceHeaders({ limit, remaining, resetSeconds, windowSeconds }: Allowance): Record<string, string> {
  return {
    "RateLimit-Policy": `"create";q=${limit};w=${windowSeconds}`,
    RateLimit: `"create";r=${remaining};t=${resetSeconds}`,
    "RateLimit-Limit": String(limit),
    "RateLimit-Remaining": String(remaining),
    "RateLimit-Reset": String(resetSeconds),
  };
}

/** Creates a minute, for each user of a tenant, counted in PostgreSQL so that several API processes share it. */
export class CreateLimit {
  private readonly limiter: RateLimiterPostgres | null;

  /** @param perMinute 0: off. */
  constructor(
    database: Database,
    private readonly perMinute: number,
  ) {
    if (perMinute === 0) {
      this.limiter = null;
      return;
    }
    this.limiter = new RateLimiterPostgres({
      // The limiter's statements run in the API's role, as all of a request's do. It expects an answer of `pg`'s form.
      storeClient: {
        query: async ({ text, values }: { text: string; values: unknown[] }) => ({
          rows: await database.transaction({ role: "api", tenantId: "", actor: "system" }, (tx) =>
            tx.query(text, values),
          ),
        }),
      },
      storeType: "client",
      tableName: "rate_limits",
      tableCreated: true,
      keyPrefix: "create",
      points: perMinute,
      duration: CREATES.windowSeconds,
    });
  }

  /**
   * Takes one create from the viewer's minute.
   * @returns what is left (null when the limit is off), and the `rate_limit_exceeded` to throw if nothing was.
   * @throws AtlasError `unavailable`
   */
  async take(viewer: Viewer): Promise<{ allowance: Allowance | null; error: AtlasError | null }> {
    if (this.limiter === null) return { allowance: null, error: null };
    try {
      const left = await this.limiter.consume(memberDigest(viewer));
      return { allowance: this.allowance(left), error: null };
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      const allowance = this.allowance(refused);
      return {
        allowance,
        error: new AtlasError(
          "rate_limit_exceeded",
          `At most ${this.perMinute} creates a minute; try again in ${allowance.resetSeconds} s`,
          { retryAfterSeconds: allowance.resetSeconds },
        ),
      };
    }
  }

  /** Gives one create back: it was taken for a create that turned out to be a replay. */
  async giveBack(viewer: Viewer): Promise<void> {
    await this.limiter?.reward(memberDigest(viewer));
  }

  private allowance(left: RateLimiterRes): Allowance {
    return {
      limit: this.perMinute,
      remaining: left.remainingPoints,
      resetSeconds: Math.max(Math.ceil(left.msBeforeNext / 1000), 1),
      windowSeconds: CREATES.windowSeconds,
    };
  }
}

/** No row-level security keeps tenants from each other's counters, so their keys must not show whose they are. */
function memberDigest({ tenantId, userId }: Viewer): string {
  return createHash("sha256").update(`${tenantId}:${userId}`).digest("base64url");
}
