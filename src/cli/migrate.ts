import { checkRowLevelSecurity } from "../database/check-row-level-security.js";
import { migrate } from "../database/migrate.js";
import type { Command } from "./command.js";

export const migrateCommand: Command = {
  name: "migrate",
  about: "bring the database up to date",
  options: {},
  async run(_options, context) {
    const database = await context.openDatabase();
    const migrated = await migrate(database);
    await checkRowLevelSecurity(database);
    return {
      text: migrated.length === 0 ? "The database is up to date." : `Migrated: ${migrated.join(", ")}`,
      json: { migrated },
    };
  },
};
