import { Migrator } from "@mikro-orm/migrations";
import { defineConfig } from "@mikro-orm/postgresql";
import type { Logger } from "../log.js";
import { entities } from "./entities/entities.js";
import { migrations } from "./migrations/migrations.js";

export interface DatabaseOptions {
  /** A `postgres://` address whose login owns the database. */
  url: string;
  /** Connections at most. */
  poolSize: number;
  log: Logger;
}

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;

/** The ORM's settings for a database; nothing is connected yet. */
export function ormOptions({ url, poolSize, log }: DatabaseOptions) {
  return defineConfig({
    clientUrl: url,
    // The ORM would otherwise take the name from MIKRO_ORM_* variables of the environment or refuse to start.
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    entities,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, tableName: "migrations", snapshot: false, silent: true },
    pool: { min: 0, max: poolSize, idleTimeoutMillis: IDLE_TIMEOUT_MS },
    driverOptions: { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, application_name: "atlas-jobs", keepAlive: true },
    timezone: "UTC",
    forceUtcTimezone: true,
    logger: (message) => log.warn(message),
    debug: false,
    colors: false,
  });
}
