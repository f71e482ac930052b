import { isNativeError } from "node:util/types";
import { CompiledQuery, type DatabaseConnection, PostgresDialect, PostgresDriver, type QueryResult } from "kysely";
import type { Pool, PoolClient } from "pg";
import { BEGIN } from "./begin.js";

/** read_only_sql_transaction: what a standby answers to what would write. */
const READ_ONLY = "25006";
/** feature_not_supported: what a standby answers to a BEGIN that asks to write. */
const NOT_SUPPORTED = "0A000";

/**
 * How the ORM speaks to PostgreSQL: each transaction begins with `BEGIN` and its settings, and a connection that cannot be
 * used any more is not given back to the pool.
 */
export class Dialect extends PostgresDialect {
  constructor(private readonly pool: Pool) {
    super({ pool });
  }

  override createDriver(): PostgresDriver {
    return new Driver(this.pool);
  }
}

/** The server has ended an idle session, or is restarting; or the driver has found its socket closed. */
const ENDED = /^(57P0[15]|ECONNRESET|EPIPE)$/;
const ENDED_MESSAGE = /connection terminated|is not queryable/i;

class Driver extends PostgresDriver {
  constructor(private readonly pool: Pool) {
    super({ pool });
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return new Connection(await this.pool.connect());
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const begin = CompiledQuery.raw(BEGIN);
    try {
      await connection.executeQuery(begin).catch(async (error: unknown) => {
        // The idle connection had ended without this process noticing. Nothing has begun: another connection can be used.
        if (!(connection instanceof Connection && hasEnded(error))) throw error;
        await connection.replace(this.pool);
        await connection.executeQuery(begin);
      });
    } catch (error) {
      giveUp(connection);
      throw codeOf(error) === NOT_SUPPORTED
        ? Object.assign(new Error("The server is a standby, which cannot be written to", { cause: error }), {
            code: READ_ONLY,
          })
        : error;
    }
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch (error) {
      giveUp(connection);
      throw error;
    }
  }

  override releaseConnection(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof Connection) connection.release();
    return Promise.resolve();
  }
}

/** Kysely does not release a connection whose BEGIN or ROLLBACK fails (kysely#1990): the pool would have one fewer for ever. */
function giveUp(connection: DatabaseConnection): void {
  if (connection instanceof Connection) connection.giveUp();
}

/** A pool's connection while it is in use. */
class Connection implements DatabaseConnection {
  private released = false;
  private useless = false;

  constructor(private client: PoolClient) {}

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    try {
      const { command, rowCount, rows } = await this.client.query(sql, [...parameters]);
      const changed = ["INSERT", "UPDATE", "DELETE", "MERGE"].includes(command);
      // Several statements in one text have several results, none of which is read.
      return { rows: (rows as Row[] | undefined) ?? [], ...(changed && { numAffectedRows: BigInt(rowCount ?? 0) }) };
    } catch (error) {
      // The server has become a standby: the connection would refuse writes also after another server has taken over.
      this.useless ||= codeOf(error) === READ_ONLY;
      throw error;
    }
  }

  streamQuery(): never {
    throw new Error("answers are not streamed here");
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    this.client.release(this.useless);
  }

  async replace(pool: Pool): Promise<void> {
    this.giveUp();
    this.client = await pool.connect();
    this.released = this.useless = false;
  }

  /** Ends it instead of giving it back. */
  giveUp(): void {
    this.useless = true;
    this.release();
  }
}

function hasEnded(error: unknown): boolean {
  return isNativeError(error) && (ENDED.test(String(codeOf(error))) || ENDED_MESSAGE.test(error.message));
}

function codeOf(error: unknown): unknown {
  return isNativeError(error) && "code" in error ? error.code : undefined;
}
