import { setTimeout as sleep } from "node:timers/promises";
import type { EntityManager } from "@mikro-orm/postgresql";
import { MikroORM } from "@mikro-orm/postgresql";
import { CompiledQuery, type Kysely } from "kysely";
import { unavailableIfAway } from "./away.js";
import { ormOptions, type DatabaseOptions } from "./orm-options.js";

/**
 * Whom a transaction acts as. `api` sees and changes one tenant's rows, `feed` reads every tenant's events,
 * memberships and counts, `worker` changes all rows. `actor` is written to the events of the changes made.
 */
export type Session =
  { role: "api"; tenantId: string; actor: string } | { role: "feed" } | { role: "worker"; actor: string };

/** An open transaction, acting in its session's role. */
export interface Transaction {
  /** The ORM's entity manager, bound to this transaction. */
  readonly em: EntityManager;
  /**
   * `pg_snapshot_xmin` as of the transaction's start, with the installation's position offset: every event that a
   * statement of this transaction cannot see has a position at or past it.
   */
  readonly watermark: bigint;
  /** Runs one statement with `$1` parameters and returns its rows, columns as the driver gives them. */
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The connection pool and the roles that the service acts in. */
export class Database {
  private constructor(
    private readonly orm: MikroORM,
    private readonly login: string,
  ) {}

  /**
   * Connects as the login of `options.url`.
   * @throws AtlasError `unavailable` when the server cannot be reached.
   */
  static async connect(options: DatabaseOptions): Promise<Database> {
    const orm = new MikroORM(ormOptions(options));
    try {
      await orm.connect();
      const [row] = await orm.em.fork().execute<{ login: string }[]>("select current_user as login");
      return new Database(orm, row?.login ?? "");
    } catch (error) {
      await orm.close(true);
      throw unavailableIfAway(error);
    }
  }

  /** The ORM itself: for migrations, and for the test that compares them with the entities. */
  get mikroOrm(): MikroORM {
    return this.orm;
  }

  /** The cluster's role for a part of this installation, as the first migration names it. */
  roleName(role: Session["role"]): string {
    return `atlas_${role}_${this.login}`.slice(0, 63);
  }

  /**
   * Runs `work` in a READ COMMITTED transaction in the session's role; commits when it returns, rolls back when it
   * throws. Role and tenant are set in a statement of their own, since set in the query itself they come too late
   * for row-level security, and locally, so that a pooled connection carries nothing over.
   * @throws AtlasError `unavailable` when the server is away.
   */
  async transaction<T>(session: Session, work: (tx: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.orm.em.fork({ clear: true }).transactional(async (em) => {
        const trx = em.getTransactionContext<Kysely<unknown>>();
        if (trx === undefined) throw new Error("no transaction context inside transactional()");
        const query = async <Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> =>
          (await trx.executeQuery<Row>(CompiledQuery.raw(sql, [...values]))).rows;
        const [begun] = await query<{ watermark: string }>(BEGIN_AS, [
          this.roleName(session.role),
          session.role === "api" ? session.tenantId : "",
          session.role === "feed" ? "" : session.actor,
        ]);
        return work({ em, query, watermark: BigInt(begun?.watermark ?? 0) });
      });
    } catch (error) {
      throw unavailableIfAway(error);
    }
  }

  /** Ends the connections; what still waits for a server that does not answer is left behind. */
  async close(): Promise<void> {
    await Promise.race([this.orm.close(true), sleep(CLOSE_BOUND_MS, undefined, { ref: false })]);
  }
}

const CLOSE_BOUND_MS = 5_000;

const BEGIN_AS = `/* database.begin */
select set_config('role', $1, true), set_config('atlas.tenant_id', $2, true), set_config('atlas.actor', $3, true),
  (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select position_offset from installation))::text as watermark`;
