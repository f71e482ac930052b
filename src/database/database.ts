import { setTimeout as sleep } from "node:timers/promises";
import type { EntityManager } from "@mikro-orm/postgresql";
import { MikroORM } from "@mikro-orm/postgresql";
import { CompiledQuery, type Kysely } from "kysely";
import { AtlasError } from "../errors.js";
import { halfOf, Turns } from "../limits/turns.js";
import { adopt } from "./adopt.js";
import { RETRY_AFTER_SECONDS, unavailableIfAway } from "./away.js";
import { ANSWER_TIMEOUT_MS, ormOptions, type DatabaseOptions } from "./orm-options.js";
import { type Patience, reach } from "./reach.js";

/**
 * Whom a transaction acts as. `api` sees and changes one tenant's rows, `feed` reads every tenant's events,
 * memberships and counts, `worker` changes all rows. `actor` is written to the events of the changes made. After `deadlineAt`
 * (as `performance.now()` counts), or once `gone` has fired, its answer is not needed. A tenant's transactions use at most half
 * of the connections at once; those that read `payloads`, inputs and outputs, at most half of these.
 */
export type Session =
  | { role: "api"; tenantId: string; actor: string; deadlineAt?: number; gone?: AbortSignal; payloads?: boolean }
  | { role: "feed"; tenantId?: string }
  | { role: "worker"; actor: string };

/** An open transaction, acting in its session's role. */
export interface Transaction {
  /** The ORM's entity manager, bound to this transaction. */
  readonly em: EntityManager;
  /**
   * `pg_snapshot_xmin` as of the transaction's start, with the installation's position offset: every event that a
   * statement of this transaction cannot see has a position at or past it.
   */
  readonly watermark: bigint;
  /**
   * A position after that of every event that the transaction could see at its start, and at or below that of every other
   * one, also of those that come after a crash of the server. At most the watermark.
   */
  readonly head: bigint;
  /** Where the positions were last moved to, after a failover: all that are given since lie past it. 0: never. */
  readonly movedTo: bigint;
  /**
   * Checks that the log has reached a position that was once given out. If it has not, a failover has lost its end: the positions
   * are moved past all that were ever given out, and the transaction begins again.
   */
  readonly requireReached: (position: bigint) => void;
  /** Runs one statement with `$1` parameters and returns its rows, columns as the driver gives them. */
  readonly query: <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;
}

/** The connection pool and the roles that the service acts in. */
export class Database {
  /** A tenant's transactions: at most half of the connections at once. */
  private readonly shares: Turns;
  /** Those that read payloads, which take long: at most half of these, so that the tenant's quick ones find a connection. */
  private readonly payloadShares: Turns;
  private adopting: Promise<void> | null = null;

  private constructor(
    private readonly orm: MikroORM,
    private readonly options: DatabaseOptions,
    private readonly login: string,
  ) {
    const share = halfOf(options.poolSize);
    this.shares = new Turns(share, "transactions of a tenant");
    this.payloadShares = new Turns(halfOf(share), "readings of a tenant's inputs and outputs");
  }

  /**
   * Connects as the login of `options.url`.
   * @throws UnreachableError when the database is still away at the end of the patience, or does not let the login in.
   */
  static async connect(options: DatabaseOptions & Patience): Promise<Database> {
    return reach(options.url, options.log, options, async () => {
      const orm = new MikroORM(ormOptions(options));
      try {
        await orm.connect();
        const [row] = await queryAlone<{ login: string }>(orm, "select current_user as login");
        return new Database(orm, options, row?.login ?? "");
      } catch (error) {
        await orm.close(true);
        throw error;
      }
    });
  }

  /** The ORM itself, for the test that compares migrations with entities. */
  get mikroOrm(): MikroORM {
    return this.orm;
  }

  /** Calls `work` with an ORM of its own, as the login, whose statements may take as long as they take. */
  async patiently<T>(work: (orm: MikroORM) => Promise<T>): Promise<T> {
    const orm = new MikroORM(ormOptions({ ...this.options, poolSize: 1, answerTimeoutMs: null }));
    try {
      return await work(orm);
    } catch (error) {
      throw unavailableIfAway(error);
    } finally {
      await orm.close(true);
    }
  }

  /** Runs one statement with `$1` parameters as the login, in none of the roles: it is for the catalog. */
  async queryAsLogin<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await queryAlone<Row>(this.orm, sql, values);
    } catch (error) {
      throw unavailableIfAway(error);
    }
  }

  /** The cluster's role for a part of this installation, as the first migration names it. */
  roleName(role: Session["role"]): string {
    return `atlas_${role}_${this.login}`.slice(0, 63);
  }

  /**
   * Runs `work` in a READ COMMITTED transaction in the session's role; commits when it returns, rolls back when it
   * throws. Role and tenant are set in a statement of their own, since set in the query itself they come too late
   * for row-level security, and locally, so that a pooled connection carries nothing over. The server ends a transaction in which
   * the process is idle for too long, since an open one delays the feeds of all tenants. In a database that has failed over, or
   * been restored, positions are moved before `work` begins.
   * @throws AtlasError `unavailable` when the server is away, or does not answer a statement in time or by the deadline;
   * `rate_limit_exceeded` when too much is waiting for the tenant's share
   */
  async transaction<T>(session: Session, work: (tx: Transaction) => Promise<T>): Promise<T> {
    this.timeoutMs(session);
    const leave = await this.enterShares(session);
    try {
      return await this.begin(session, work).catch(async (error: unknown) => {
        if (!(error instanceof LostLog)) throw error;
        await this.adopt(error.beyond);
        return this.begin(session, work);
      });
    } catch (error) {
      throw unavailableIfAway(error);
    } finally {
      leave();
    }
  }

  /** Waits for the session's turn among its tenant's. @returns a function that ends the turn. */
  private async enterShares(session: Session): Promise<() => void> {
    const tenantId = session.role === "worker" ? "" : (session.tenantId ?? "");
    const gone = goneOf(session);
    if (tenantId === "") return () => undefined;
    if (session.role !== "api" || session.payloads !== true) return this.shares.enter(tenantId, gone);
    // The payloads' turn first: a transaction that waits for it must not hold one of the tenant's other turns meanwhile.
    const leavePayloads = await this.payloadShares.enter(tenantId, gone);
    try {
      const leave = await this.shares.enter(tenantId, gone);
      return () => {
        leave();
        leavePayloads();
      };
    } catch (error) {
      leavePayloads();
      throw error;
    }
  }

  /**
   * Looks whether this is still the same database. After a failover or a restore it is not: then all new positions are made to lie
   * above every old one. Transactions do this by themselves after a failover; a dump that was restored in another server is found
   * by the call at the start alone.
   * @param beyond a position that was given, which the log has not reached; null: none is known.
   * @throws AtlasError `unavailable`
   */
  async adopt(beyond: bigint | null = null): Promise<void> {
    await (this.adopting ??= this.adoptOnce(beyond).finally(() => (this.adopting = null)));
  }

  private async adoptOnce(beyond: bigint | null): Promise<void> {
    const session = { role: "worker", actor: "system" } as const;
    const adopted = await this.begin(session, (tx) => adopt(tx.query, beyond), "as it is").catch((error: unknown) => {
      throw unavailableIfAway(error);
    });
    if (adopted === null) return;
    this.options.log.warn(
      { keptPosition: adopted.keptPosition.toString(), nextPosition: adopted.nextPosition.toString() },
      "the database has failed over or been restored: cursors of what it has lost are expired",
    );
  }

  /** @param installation whether the transaction may begin in a database that has not been adopted. */
  private begin<T>(
    session: Session,
    work: (tx: Transaction) => Promise<T>,
    installation: "adopted" | "as it is" = "adopted",
  ): Promise<T> {
    return this.orm.em.fork({ clear: true }).transactional(async (em) => {
      const trx = em.getTransactionContext<Kysely<unknown>>();
      if (trx === undefined) throw new Error("no transaction context inside transactional()");
      const query = queryOf(trx);
      const [begun] = await query<Begun>(BEGIN_AS, [
        this.roleName(session.role),
        session.role === "api" ? session.tenantId : "",
        session.role === "feed" ? "" : session.actor,
        String(this.timeoutMs(session)),
      ]);
      if (begun === undefined) throw new Error("the installation table is empty: run the migrations");
      if (!begun.adopted && installation === "adopted") throw new LostLog(null);
      return work({
        em,
        query,
        watermark: BigInt(begun.watermark),
        head: BigInt(begun.head),
        movedTo: BigInt(begun.movedTo),
        requireReached(position) {
          if (position >= BigInt(begun.end)) throw new LostLog(position);
        },
      });
    });
  }

  /** How long a statement of the session may take. @throws AtlasError `unavailable` when its deadline has passed. */
  private timeoutMs(session: Session): number {
    const timeoutMs = this.options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
    const leftMs =
      "deadlineAt" in session && session.deadlineAt !== undefined ? session.deadlineAt - performance.now() : timeoutMs;
    if (leftMs <= 0 || goneOf(session)?.aborted === true)
      throw new AtlasError("unavailable", "The request took too long, or its client has left", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    return Math.ceil(Math.min(timeoutMs, leftMs));
  }

  /** Ends the connections; what still waits for a server that does not answer is left behind. */
  async close(): Promise<void> {
    await Promise.race([this.orm.close(true), sleep(CLOSE_BOUND_MS, undefined, { ref: false })]);
  }
}

/** Runs one statement in a transaction of its own, also within another one's work, which the ORM would join. */
function queryAlone<Row>(orm: MikroORM, sql: string, values?: readonly unknown[]): Promise<Row[]> {
  const client = orm.em.getConnection().getClient();
  return client.transaction().execute((trx) => queryOf(trx)<Row>(sql, values));
}

/** Sends statements as they are written. */
function queryOf(trx: Pick<Kysely<unknown>, "executeQuery">): Transaction["query"] {
  return async <Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> =>
    (await trx.executeQuery<Row>(CompiledQuery.raw(sql, [...values]))).rows;
}

function goneOf(session: Session): AbortSignal | undefined {
  return session.role === "api" ? session.gone : undefined;
}

const CLOSE_BOUND_MS = 5_000;

/** Thrown in a transaction when the database is not the one that it was, or its log shorter than a position that was given. */
class LostLog extends Error {
  override readonly name = "LostLog";
  /** cannot_connect_now, which makes it `unavailable` where a second try fails too, as on a standby. */
  readonly code = "57P03";

  constructor(readonly beyond: bigint | null) {
    super("the database has failed over or been restored");
  }
}

interface Begun {
  watermark: string;
  head: string;
  movedTo: string;
  end: string;
  adopted: boolean;
}

// `position_offset + 1`: after positions were moved, the head lies past all that were lost, also before the first new event.
const BEGIN_AS = `/* database.begin */
select set_config('role', $1, true), set_config('atlas.tenant_id', $2, true), set_config('atlas.actor', $3, true),
  set_config('statement_timeout', $4, true), set_config('idle_in_transaction_session_timeout', $4, true),
  watermark::text, greatest(event_head(watermark), position_offset + 1)::text as head, position_offset::text as "movedTo", "end"::text,
  timeline is not distinct from current_timeline() as adopted
from (
  select pg_snapshot_xmin(snapshot)::text::bigint + position_offset as watermark,
    pg_snapshot_xmax(snapshot)::text::bigint + position_offset as "end", position_offset, timeline
  from installation cross join pg_current_snapshot() snapshot
) installation`;
