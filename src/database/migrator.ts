import { Migrator } from "@mikro-orm/migrations";
import type { MikroORM } from "@mikro-orm/core";
import type { SqlEntityManager } from "@mikro-orm/postgresql";

/**
 * The ORM's migrator, which looks for its table, and makes it, in the transaction that it is given, as it does everything
 * else. Outside of one the login's settings would hold: it might be read-only, or the table would go to another schema.
 */
export class TransactionalMigrator extends Migrator {
  static override register(orm: MikroORM): void {
    orm.config.registerExtension("@mikro-orm/migrator", () => new TransactionalMigrator(orm.em as SqlEntityManager));
  }

  override init(): Promise<void> {
    // The rest of it makes a database that is missing, and finds migrations in a folder.
    return Promise.resolve();
  }
}
