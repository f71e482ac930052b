import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  lchown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostmaster } from "../../dist/database/embedded/postmaster.js";
import { chooseServerUser, spawnAs } from "../../dist/database/embedded/server-user.js";

/** Where Debian's packages keep each version's programs. */
const PACKAGES = "/usr/lib/postgresql";
const PASSWORD = "secret";

/** The programs of the newest PostgreSQL that is installed; null where there is none. */
export const debianPrograms = await newestPrograms();

/** A PostgreSQL as Debian installs it, with its own defaults: JIT is on from 12 to 18. */
export interface DebianPostgresql {
  /** The superuser's, on the database `postgres`. */
  superuserUrl: string;
  /** All that the server has logged. */
  log(): Promise<string>;
  remove(): Promise<void>;
}

/**
 * Makes a cluster of its own and starts it on a free port.
 * @param settings lines of postgresql.conf, for what the default would not show.
 */
export async function startDebianPostgresql(settings: readonly string[] = []): Promise<DebianPostgresql> {
  if (debianPrograms === null) throw new Error(`there is no PostgreSQL in ${PACKAGES}`);
  const folder = await realpath(await mkdtemp(join(tmpdir(), "atlas-debian-")));
  // Else the server, which does not run as root, could not reach it.
  await chmod(folder, 0o755);
  const postgres = join(debianPrograms, "postgres");
  const user = await chooseServerUser(folder, postgres);
  const directory = join(folder, "cluster");
  const passwordFile = join(folder, "password");
  await mkdir(directory, { mode: 0o700 });
  await writeFile(passwordFile, PASSWORD);
  if (user.ids !== null) await lchown(directory, user.ids.uid, user.ids.gid);
  const args = [`--pgdata=${directory}`, "--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  const initdb = spawnAs(user, join(debianPrograms, "initdb"), [...args, "--encoding=UTF8"], ["ignore", "ignore", "inherit"]); // prettier-ignore
  const [code] = (await once(initdb, "exit")) as [number | null];
  if (code !== 0) throw new Error(`initdb failed with exit code ${code}`);
  const lines = ["logging_collector = on", "log_directory = 'log'", "log_filename = 'server.log'", ...settings];
  await appendFile(join(directory, "postgresql.conf"), `\n${lines.join("\n")}\n`);
  const server = await startPostmaster(directory, postgres, user, 0);
  return {
    superuserUrl: `postgres://postgres:${PASSWORD}@127.0.0.1:${server.port}/postgres`,
    log: () => readFile(join(directory, "log", "server.log"), "utf8"),
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function newestPrograms(): Promise<string | null> {
  const versions = (await readdir(PACKAGES).catch(() => [])).map(Number).toSorted((a, b) => b - a);
  return (
    versions.map((version) => join(PACKAGES, String(version), "bin")).find((bin) => existsSync(join(bin, "initdb"))) ??
    null
  );
}
