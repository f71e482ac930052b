import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";

/** How tokens are verified: an HS256 secret, a JSON Web Key Set's address, or a PEM public key. */
export type KeySource =
  { kind: "secret"; secret: string } | { kind: "jwks"; url: string } | { kind: "publicKey"; pem: string };

/** All settings; each comes from one environment variable. docs/settings.md lists them. */
export interface Config {
  port: number;
  host: string;
  /** null: the embedded PostgreSQL under `dataDir`; never in production. */
  databaseUrl: string | null;
  /** Absolute path. */
  dataDir: string;
  role: "all" | "api" | "worker";
  /** null: a development secret under `dataDir`. */
  tokenKey: KeySource | null;
  jwtIssuer: string | null;
  jwtAudience: string | null;
  /** null: mails are written to `dataDir`/outbox. */
  smtpUrl: string | null;
  emailFrom: string;
  /** Per user of a tenant; 0: off. */
  createLimitPerMinute: number;
  /** Sockets and event streams in a process. */
  streamsPerUser: number;
  streamsPerTenant: number;
  workerConcurrency: number;
  /** The part of a worker's slots after which a tenant gets only those that no other tenant can use. */
  workerTenantShare: number;
  /** Absolute path of a folder of handler modules; null: none. */
  handlersDir: string | null;
  retentionDays: number;
  jobTimeoutMs: number;
  shutdownGraceMs: number;
  notify: boolean;
  databasePoolSize: number;
  /** Allowed origins; empty: none, `*`: any. */
  corsOrigins: readonly string[];
  /** Express's `trust proxy`: false, true, a number of hops, or addresses. */
  trustProxy: boolean | number | string;
  legacyStatusNames: boolean;
  production: boolean;
  logLevel: string;
}

/** Thrown for an environment that cannot be used; the message lists every problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
const DAY_MS = 86_400_000;

const whole = (min: number, max: number, fallback: number) =>
  z
    .string()
    .regex(/^-?\d{1,15}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(min, `must be ${min}–${max}`).max(max, `must be ${min}–${max}`))
    .default(fallback);

const flag = (fallback: boolean) =>
  z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(["on", "off", "true", "false", "1", "0", "yes", "no"], "must be on or off"))
    .transform((value) => ["on", "true", "1", "yes"].includes(value))
    .default(fallback);

const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol),
      `must be a URL with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
    );

const origins = z
  .string()
  .transform((value) =>
    value
      .split(",")
      .map((origin) => origin.trim())
      .filter(Boolean),
  )
  .refine(
    (list) => list.every((origin) => origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin)),
    "must be a comma-separated list of origins such as https://app.example.com, or *",
  )
  .default([]);

const trustProxy = z
  .string()
  .transform((value) => {
    if (/^\d{1,3}$/.test(value)) return Number(value);
    if (["off", "false", "no"].includes(value.toLowerCase())) return false;
    if (["on", "true", "yes"].includes(value.toLowerCase())) return true;
    return value;
  })
  .refine(
    (value) => typeof value !== "string" || value.split(",").every((one) => isProxy(one.trim())),
    "must be on, off, a number of hops, or comma-separated addresses, networks, loopback, linklocal, uniquelocal",
  )
  .default(false);

function isProxy(text: string): boolean {
  const [address = "", bits = "0", ...rest] = text.split("/");
  const most = isIP(address) === 6 ? 128 : 32;
  const network = isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0;
  return network || ["loopback", "linklocal", "uniquelocal"].includes(text);
}

const environment = z.object({
  PORT: whole(0, 65_535, 8787),
  HOST: z.string().default("127.0.0.1"),
  DATABASE_URL: url("postgres:", "postgresql:").optional(),
  DATA_DIR: z.string().default(".data"),
  ROLE: z.enum(["all", "api", "worker"], "must be all, api or worker").default("all"),
  JWT_SECRET: z
    .string()
    .refine((value) => Buffer.byteLength(value) >= 32, "must be at least 32 bytes")
    .optional(),
  JWT_JWKS_URL: url("https:", "http:").optional(),
  JWT_PUBLIC_KEY: z
    .string()
    .transform((value) => value.replaceAll("\\n", "\n"))
    .refine((value) => value.includes("-----BEGIN "), "must be a PEM public key")
    .optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  SMTP_URL: url("smtp:", "smtps:").optional(),
  EMAIL_FROM: z
    .string()
    .refine((value) => !/[\r\n]/.test(value) && value.includes("@"), "must be a mail address")
    .default("Atlas Jobs <jobs@localhost>"),
  CREATE_LIMIT_PER_MINUTE: whole(0, 1_000_000, 30),
  STREAMS_PER_USER: whole(1, 1_000_000, 2_500),
  STREAMS_PER_TENANT: whole(1, 1_000_000, 10_000),
  WORKER_CONCURRENCY: whole(1, 1000, 10),
  WORKER_TENANT_SHARE: z
    .string()
    .refine(
      (value) => /^\d?\.?\d{1,4}$/.test(value) && Number(value) > 0 && Number(value) <= 1,
      "must be a number over 0, up to 1",
    )
    .transform(Number)
    .default(0.5),
  HANDLERS: z.string().optional(),
  RETENTION_DAYS: whole(1, 36_500, 30),
  JOB_TIMEOUT_MS: whole(1, 7 * DAY_MS, 15 * 60_000),
  SHUTDOWN_GRACE_MS: whole(0, 3_600_000, 30_000),
  NOTIFY: flag(true),
  DATABASE_POOL_SIZE: whole(2, 1000, 10),
  CORS_ORIGINS: origins,
  TRUST_PROXY: trustProxy,
  LEGACY_STATUS_NAMES: flag(false),
  // A mistyped production would be a development service in public.
  NODE_ENV: z.enum(["production", "development", "test"], "must be production, development or test").optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("info"),
});

/**
 * Reads the settings from environment variables; an empty variable counts as unset.
 * @throws {ConfigError} naming every bad or missing variable at once.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ""));
  const parsed = environment.safeParse(set);
  const problems = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);

  const keys = ["JWT_SECRET", "JWT_JWKS_URL", "JWT_PUBLIC_KEY"].filter((name) => set[name] !== undefined);
  if (keys.length > 1) problems.push(`${keys.join(" and ")} are set: set one of them`);
  if (keys.length === 0 && set["NODE_ENV"] === "production") {
    problems.push("JWT_SECRET, JWT_JWKS_URL or JWT_PUBLIC_KEY must be set when NODE_ENV=production");
  }
  // The embedded database is new and empty where a process finds none: one that means another's would do nothing, and say nothing.
  if (set["DATABASE_URL"] === undefined && set["NODE_ENV"] === "production") {
    problems.push("DATABASE_URL must be set when NODE_ENV=production: the embedded database is for development");
  } else if (set["DATABASE_URL"] === undefined && set["DATA_DIR"] === undefined && (set["ROLE"] ?? "all") !== "all") {
    problems.push(
      "DATABASE_URL must be set when ROLE is not all, or DATA_DIR to the folder whose database all roles share",
    );
  }
  if (!parsed.success || problems.length > 0) {
    throw new ConfigError(
      `Cannot start; fix these settings:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
    );
  }

  const vars = parsed.data;
  return Object.freeze<Config>({
    port: vars.PORT,
    host: vars.HOST,
    databaseUrl: vars.DATABASE_URL ?? null,
    dataDir: resolve(vars.DATA_DIR),
    role: vars.ROLE,
    tokenKey: tokenKey(vars),
    jwtIssuer: vars.JWT_ISSUER ?? null,
    jwtAudience: vars.JWT_AUDIENCE ?? null,
    smtpUrl: vars.SMTP_URL ?? null,
    emailFrom: vars.EMAIL_FROM,
    createLimitPerMinute: vars.CREATE_LIMIT_PER_MINUTE,
    streamsPerUser: vars.STREAMS_PER_USER,
    streamsPerTenant: vars.STREAMS_PER_TENANT,
    workerConcurrency: vars.WORKER_CONCURRENCY,
    workerTenantShare: vars.WORKER_TENANT_SHARE,
    handlersDir: vars.HANDLERS === undefined ? null : resolve(vars.HANDLERS),
    retentionDays: vars.RETENTION_DAYS,
    jobTimeoutMs: vars.JOB_TIMEOUT_MS,
    shutdownGraceMs: vars.SHUTDOWN_GRACE_MS,
    notify: vars.NOTIFY,
    databasePoolSize: vars.DATABASE_POOL_SIZE,
    corsOrigins: vars.CORS_ORIGINS,
    trustProxy: vars.TRUST_PROXY,
    legacyStatusNames: vars.LEGACY_STATUS_NAMES,
    production: vars.NODE_ENV === "production",
    logLevel: vars.LOG_LEVEL,
  });
}

function tokenKey(vars: z.output<typeof environment>): KeySource | null {
  if (vars.JWT_SECRET !== undefined) return { kind: "secret", secret: vars.JWT_SECRET };
  if (vars.JWT_JWKS_URL !== undefined) return { kind: "jwks", url: vars.JWT_JWKS_URL };
  if (vars.JWT_PUBLIC_KEY !== undefined) return { kind: "publicKey", pem: vars.JWT_PUBLIC_KEY };
  return null;
}
