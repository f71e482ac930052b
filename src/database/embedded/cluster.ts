import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { lchown, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./binaries.js";
import { readInstance, writeInstance, type Instance } from "./instance.js";
import { spawnAs, type ServerUser } from "./server-user.js";

const ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n";

/**
 * Makes the data directory `home`/cluster with its database and logins unless it is there, and hands it to the server's
 * user. The caller holds the lock; the server is stopped.
 * @returns the instance, whose server is not started yet.
 */
export async function ensureCluster(home: string, binaries: Binaries, user: ServerUser): Promise<Instance> {
  const cluster = join(home, "cluster");
  const owner = await stat(cluster).then(
    ({ uid }) => uid,
    () => null,
  );
  if (owner !== null && user.ids !== null && user.ids.uid !== owner) await handOver(cluster, user.ids);

  const known = owner === null ? null : await readInstance(home);
  if (known !== null) return known;

  const password = randomBytes(24).toString("base64url");
  const superuserPassword = randomBytes(24).toString("base64url");
  const instance: Instance = {
    url: `postgres://atlas:${password}@127.0.0.1/atlas`,
    superuserUrl: `postgres://postgres:${superuserPassword}@127.0.0.1/postgres`,
    watchdog: null,
  };
  const passwords = [`alter role atlas password '${password}'`, `alter role postgres password '${superuserPassword}'`];
  if (owner !== null) {
    await execute(cluster, binaries, user, passwords);
    await writeInstance(home, instance);
    return instance;
  }

  await removeDrafts(home);
  const draft = await mkdtemp(join(home, "draft-"));
  if (user.ids !== null) await lchown(draft, user.ids.uid, user.ids.gid);
  await initialise(draft, binaries, user);
  await execute(draft, binaries, user, [
    "create role atlas login nosuperuser createrole",
    "create database atlas owner atlas",
    ...passwords,
  ]);
  await writeInstance(home, instance);
  // Last, so that a half-made cluster is never taken for one.
  await rename(draft, cluster);
  return instance;
}

async function initialise(directory: string, binaries: Binaries, user: ServerUser): Promise<void> {
  const args = ["--username=postgres", "--auth=reject", "--no-sync", "--encoding=UTF8", "--no-locale"];
  // The same order of text on every platform, without its C library's.
  args.push("--locale-provider=builtin", "--builtin-locale=C.UTF-8", `--pgdata=${directory}`);
  const initdb = spawnAs(user, binaries.initdb, args, ["ignore", "ignore", "inherit"]);
  const [code] = (await once(initdb, "exit")) as [number | null];
  if (code !== 0) throw new Error(`initdb failed with exit code ${code}`);
  await writeFile(join(directory, "pg_hba.conf"), ACCESS);
}

/** Runs statements, one line each, on a stopped server's data, where no password is asked for. */
async function execute(directory: string, binaries: Binaries, user: ServerUser, statements: string[]): Promise<void> {
  const args = ["--single", "-D", directory, "-c", "exit_on_error=true", "-c", "log_checkpoints=off", "postgres"];
  const single = spawnAs(user, binaries.postgres, args, ["pipe", "ignore", "inherit"]);
  // A server that ends early says why in the log and by its exit code.
  single.stdin?.on("error", () => undefined).end(`${statements.join("\n")}\n`);
  const [code] = (await once(single, "exit")) as [number | null];
  if (code !== 0) throw new Error(`postgres --single failed with exit code ${code}`);
}

async function removeDrafts(home: string): Promise<void> {
  const drafts = (await readdir(home)).filter((name) => name.startsWith("draft-"));
  await Promise.all(drafts.map((name) => rm(join(home, name), { recursive: true, force: true, maxRetries: 5 })));
}

async function handOver(directory: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  const names = await readdir(directory, { recursive: true });
  await Promise.all(names.map((name) => lchown(join(directory, name), uid, gid)));
  // Last, as it is what tells that all are handed over.
  await lchown(directory, uid, gid);
}
