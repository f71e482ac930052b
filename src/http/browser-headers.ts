import cors from "cors";
import type { RequestHandler } from "express";
import helmet from "helmet";
import type { Config } from "../config.js";

/** What a page of another origin may read of an answer. */
const EXPOSED_HEADERS = [
  "Idempotency-Replayed",
  "RateLimit",
  "RateLimit-Policy",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "Retry-After",
  "X-Event-Cursor",
  "X-Query-Cost",
  "X-Query-Cost-Remaining",
  "X-Request-Id",
];

/** The headers that tell browsers what a page may do with an answer: nothing is loaded, and who may read it. */
export function browserHeaders({ corsOrigins }: Pick<Config, "corsOrigins">): RequestHandler[] {
  const nothing = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] };
  return [
    helmet({ contentSecurityPolicy: { useDefaults: false, directives: nothing } }),
    cors({ origin: originOf(corsOrigins), exposedHeaders: EXPOSED_HEADERS, maxAge: 600 }),
  ];
}

function originOf(corsOrigins: readonly string[]): boolean | string | string[] {
  if (corsOrigins.includes("*")) return "*";
  return corsOrigins.length === 0 ? false : [...corsOrigins];
}
