import { Migrator } from "@mikro-orm/migrations";
import { defineConfig } from "@mikro-orm/postgresql";
import type { Pool, PoolClient } from "pg";
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
    driverOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: "atlas-jobs",
      keepAlive: true,
      onPoolCreated: takeBackBroken,
    },
    timezone: "UTC",
    forceUtcTimezone: true,
    logger: (message) => log.warn(message),
    debug: false,
    colors: false,
  });
}

/**
 * Takes back connections that end while a transaction holds them. Kysely gives none back whose rollback fails
 * (kysely#1990): each break would cost the pool a connection for good, and closing the pool would wait for it forever.
 */
function takeBackBroken(pool: Pool): void {
  const held = new Set<PoolClient>();
  pool.on("acquire", (client) => held.add(client));
  pool.on("release", (_error, client) => held.delete(client));
  pool.on("connect", (client) => {
    // A turn later, so that whoever does give it back has done so: a second release throws.
    client.once("end", () => setImmediate(() => held.has(client) && client.release(true)));
  });
}
