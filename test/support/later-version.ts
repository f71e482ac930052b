import { appendFile, cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The compiled service as a version to come may be: today's, with one more migration. */
export interface LaterVersion {
  /** In place of `dist`. */
  code: string;
  remove(): Promise<void>;
}

/**
 * @param number of its migration, above today's and those of other versions planted.
 * @param sql what the migration does.
 * @param after an earlier one, whose migration it has too.
 */
export async function plantVersion(number: number, sql: string, after?: LaterVersion): Promise<LaterVersion> {
  const folder = await mkdtemp(join(tmpdir(), "atlas-later-"));
  const code = join(folder, "dist");
  await cp(after?.code ?? "dist", code, { recursive: true });
  await cp("package.json", join(folder, "package.json"));
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  const migrations = join(code, "database", "migrations");
  await writeFile(
    join(migrations, `${number}-planted.js`),
    `import { Migration } from "@mikro-orm/migrations";
     export class Planted extends Migration {
       name = "${number}-planted";
       up() { this.addSql(${JSON.stringify(sql)}); }
     }`,
  );
  await appendFile(
    join(migrations, "migrations.js"),
    `\nimport { Planted as Planted${number} } from "./${number}-planted.js";\nmigrations.push(Planted${number});\n`,
  );
  return { code, remove: () => rm(folder, { recursive: true, force: true }) };
}
