import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { Database } from "../../dist/database/database.js";
import { openEmbeddedDatabase } from "../../dist/database/embedded/embedded.js";
import { readInstance } from "../../dist/database/embedded/instance.js";
import { migrate } from "../../dist/database/migrate.js";
import { createLogger } from "../../dist/log.js";

/**
 * Starts the run's PostgreSQL and makes the migrated template that each test clones. It imports what the build made: Jest
 * maps no module names here.
 */
export async function startTestServer(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "atlas-test-"));
  // Else the server, which does not run as root, could not reach it.
  await chmod(dataDir, 0o755);
  // Services that tests start compile the same modules again and again: about 0.2 s of each start.
  process.env["NODE_COMPILE_CACHE"] ??= join(dataDir, "compiled");
  const log = createLogger("error");
  const embedded = await openEmbeddedDatabase(dataDir, log);
  const superuserUrl = (await readInstance(join(dataDir, "postgres")))?.superuserUrl ?? "";

  const superuser = new pg.Client({ connectionString: superuserUrl });
  await superuser.connect();
  await superuser.query("alter system set fsync = off");
  await superuser.query("select pg_reload_conf()");
  await superuser.query("create database atlas_template owner atlas");
  await superuser.end();
  const template = await Database.connect({ url: onDatabase(embedded.url, "atlas_template"), poolSize: 2, log });
  await migrate(template);
  await template.close();

  process.env["ATLAS_TEST_URL"] = embedded.url;
  process.env["ATLAS_TEST_SUPERUSER_URL"] = superuserUrl;
  Object.assign(globalThis, { atlasTestServer: { embedded, dataDir } });
}

function onDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}
