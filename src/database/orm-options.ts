import type { Socket } from "node:net";
import { defineConfig } from "@mikro-orm/postgresql";
import pg, { type PoolClient } from "pg";
import { parseJson } from "../bounds/exact-json.js";
import type { Logger } from "../log.js";
import { Dialect } from "./dialect.js";
import { entities } from "./entities/entities.js";
import { TransactionalMigrator } from "./migrator.js";
import { migrations } from "./migrations/migrations.js";

export interface DatabaseOptions {
  /** A `postgres://` address whose login owns the database. */
  url: string;
  /** Connections at most. */
  poolSize: number;
  log: Logger;
  /**
   * How long a transaction waits for the server's answer, and the server for its next statement: a slow statement is then
   * canceled, an idle transaction ended, and the connection of a server that hangs is given up. null: without an end, as migrations do. Default: 10 s.
   */
  answerTimeoutMs?: number | null;
}

export const ANSWER_TIMEOUT_MS = 10_000;
/** How much later the connection is given up than the server cancels its statement, which would keep the connection. */
const SILENCE_FACTOR = 1.2;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;
const { DATE, TIMESTAMP, TIMESTAMPTZ, INTERVAL, JSONB } = pg.types.builtins;
/** The ORM reads these itself: the driver would take a timestamp for the process's local time. */
const READ_AS_TEXT = [DATE, TIMESTAMP, TIMESTAMPTZ, INTERVAL];

/** The ORM's settings for a database; nothing is connected yet. */
export function ormOptions(options: DatabaseOptions) {
  const { url, log } = options;
  return defineConfig({
    clientUrl: url,
    // The ORM would otherwise take the name from MIKRO_ORM_* variables of the environment or refuse to start.
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    entities,
    extensions: [TransactionalMigrator],
    // A missing database is not made: that is the operator's decision.
    ensureDatabase: false,
    migrations: { migrationsList: migrations, tableName: "migrations", snapshot: false, silent: true },
    driverOptions: () => new Dialect(createPool(options)),
    timezone: "UTC",
    forceUtcTimezone: true,
    logger: (message) => log.warn(message),
    debug: false,
    colors: false,
  });
}

function createPool({ url, poolSize, log, answerTimeoutMs = ANSWER_TIMEOUT_MS }: DatabaseOptions): pg.Pool {
  const types = new pg.TypeOverrides();
  for (const oid of READ_AS_TEXT) types.setTypeParser(oid, (text) => text);
  // parseJson keeps each number as it stands in the jsonb.
  types.setTypeParser(JSONB, (text) => parseJson(text));
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: "atlas-jobs",
    keepAlive: true,
    types,
  });
  // A connection that breaks fails the statement on it. Without a listener the event would end the process.
  const ignore = ({ message }: Error): void => log.debug({ reason: message }, "a database connection broke");
  pool.on("error", ignore);
  pool.on("connect", (client) => client.on("error", ignore));
  if (answerTimeoutMs !== null) giveUpSilent(pool, answerTimeoutMs * SILENCE_FACTOR);
  return pool;
}

/**
 * Ends a connection in use on which nothing has come or gone for so long. The driver's own query_timeout leaves it in the
 * pool, its query still under way.
 */
function giveUpSilent(pool: pg.Pool, silenceMs: number): void {
  const socketOf = (client: PoolClient): Socket => client.connection.stream as Socket;
  pool.on("connect", (client) => {
    const socket = socketOf(client);
    socket.on("timeout", () => {
      socket.destroy(Object.assign(new Error("the database does not answer"), { code: "ETIMEDOUT" }));
    });
  });
  pool.on("acquire", (client) => socketOf(client).setTimeout(silenceMs));
  pool.on("release", (_error, client) => socketOf(client).setTimeout(0));
}
