import { ConfigError } from "../config.js";
import type { Database } from "./database.js";
import { migrations } from "./migrations/migrations.js";

/**
 * Compares the database's schema with the migrations that this code knows. It may have more of them: a newer version's, which
 * say by `installation.oldest_code` whether this code can run on them.
 * @returns the names of the migrations that the database lacks, in order.
 * @throws {ConfigError} when the schema serves newer code only.
 */
export async function checkSchema(database: Database): Promise<string[]> {
  const { em, config } = database.mikroOrm;
  const known = migrations.map((One) => new One(em.getDriver(), config).name);
  const [found] = await database.queryAsLogin<{ migrated: boolean }>(FIND);
  if (found?.migrated !== true) return known;
  const [schema] = await database.queryAsLogin<{ applied: string[]; oldest_code: number }>(READ);
  const { applied = [], oldest_code: oldestCode = 0 } = schema ?? {};
  if (oldestCode > numberOf(known.at(-1))) {
    throw new ConfigError(
      `Cannot start; the database is newer than this version of Atlas Jobs: it has ${applied.at(-1)} and serves code that ` +
        `knows migration ${oldestCode}, this code knows them up to ${known.at(-1)}. Start the version that migrated it.`,
    );
  }
  return known.filter((name) => !applied.includes(name));
}

/** A migration's number, which its name begins with. */
function numberOf(name = ""): number {
  return Number.parseInt(name, 10);
}

const FIND = `/* database.find_schema */
select to_regclass('migrations') is not null and to_regclass('installation') is not null as migrated`;

// As JSON, since the column is not there before its migration.
const READ = `/* database.read_schema */
select array(select name::text from migrations order by name) as applied,
  coalesce((select (to_jsonb(installation) ->> 'oldest_code')::int from installation), 0) as oldest_code`;
