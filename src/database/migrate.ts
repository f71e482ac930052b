import { checkSchema } from "./check-schema.js";
import type { Database } from "./database.js";

// Any number; every process of the service must use the same.
const MIGRATION_LOCK = 4_162_027_071;

/**
 * Brings the database up to date and returns the names of the migrations run, none when it was. Processes that migrate
 * at the same moment wait for one another: the lock and every migration are one transaction.
 * @throws {ConfigError} when the database serves newer code only.
 */
export async function migrate(database: Database): Promise<string[]> {
  return database.patiently((orm) =>
    orm.em.fork().transactional(async (em) => {
      await em.execute(`/* database.migrate */ select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
      await checkSchema(database);
      const transaction = em.getTransactionContext<object>();
      const done = await orm.migrator.up(transaction === undefined ? {} : { transaction });
      return done.map((migration) => migration.name);
    }),
  );
}
