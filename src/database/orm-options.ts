import type { Socket } from "node:net";
import { Migrator } from "@mikro-orm/migrations";
import { defineConfig } from "@mikro-orm/postgresql";
import { type Pool, type PoolClient, types } from "pg";
import { parseJson } from "../bounds/exact-json.js";
import type { Logger } from "../log.js";
import { entities } from "./entities/entities.js";
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
/** The server is asked to cancel first: it says so, and keeps the connection. */
const SILENCE_FACTOR = 1.2;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;

/** The ORM's settings for a database; nothing is connected yet. */
export function ormOptions({ url, poolSize, log, answerTimeoutMs = ANSWER_TIMEOUT_MS }: DatabaseOptions) {
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
      onPoolCreated: (pool: Pool) => {
        keepNumbers(pool);
        takeBackBroken(pool);
        if (answerTimeoutMs !== null) giveUpSilent(pool, answerTimeoutMs * SILENCE_FACTOR);
      },
    },
    timezone: "UTC",
    forceUtcTimezone: true,
    logger: (message) => log.warn(message),
    debug: false,
    colors: false,
  });
}

/** Has numbers in jsonb read as they stand there. */
function keepNumbers({ options }: Pool): void {
  (options.types as typeof types).setTypeParser(types.builtins.JSONB, (text) => parseJson(text));
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

/**
 * Ends a connection in use on which nothing has come or gone for so long. The driver's own query_timeout leaves it in the
 * pool, its query still under way.
 */
function giveUpSilent(pool: Pool, silenceMs: number): void {
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
