import { defineEntity, p } from "@mikro-orm/postgresql";

/** An allowance in use, as the rate limiter keeps it; `expire` is in milliseconds since the epoch. */
export const RateLimitEntity = defineEntity({
  name: "RateLimit",
  tableName: "rate_limits",
  properties: {
    key: p.string().length(255).primary(),
    points: p.integer().default(0),
    expire: p.bigint("bigint").nullable(),
  },
});
