import { appendFile, chmod, copyFile, lchown, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { type Postmaster, startPostmaster } from "../../dist/database/embedded/postmaster.js";
import type { ServerUser } from "../../dist/database/embedded/server-user.js";
import { until } from "./until.ts";

/** A replica of a running PostgreSQL, which follows it by asynchronous streaming. */
export interface Standby {
  directory: string;
  /** Its own address, for reading alone, until it is promoted. */
  superuserUrl: string;
  /** Resolves when it has everything that the primary has committed by now. */
  catchUp(): Promise<void>;
  /** Receives nothing more: what the primary commits from now on is lost when the standby takes over. */
  holdBack(): Promise<void>;
  /** Starts again on this port, for reading alone, and is then promoted. The primary has left the port. */
  takeOver(port: number): Promise<Postmaster>;
  stop(): Promise<void>;
}

export interface StandbyOptions {
  primary: { superuserUrl: string; directory: string };
  /** Where its data go: a path that is free, in a folder that the server's user can reach. */
  directory: string;
  postgres: string;
  user: ServerUser;
  port: number;
}

const TAKE_OVER_BOUND_SECONDS = 30;
/** What a server makes anew when it starts; the write-ahead log comes by streaming. */
const LEFT_EMPTY = ["pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans", "pg_stat_tmp"]; // prettier-ignore
const LEFT_OUT = ["postmaster.pid", "postmaster.opts", "standby.signal", "backup_label.old"];
/** Copied after the others, as PostgreSQL's own pg_basebackup does. */
const CONTROL_FILE = join("global", "pg_control");

/** Copies a running server, which goes on meanwhile, and starts the copy; resolves when it streams and can be read. */
export async function startStandby({ primary, directory, postgres, user, port }: StandbyOptions): Promise<Standby> {
  await allowReplication(primary);
  await copy(primary, directory);
  await writeFile(join(directory, "standby.signal"), "");
  const { hostname, port: primaryPort, username, password } = new URL(primary.superuserUrl);
  const address = `host=${hostname} port=${primaryPort} user=${username} password=${decodeURIComponent(password)}`;
  await appendFile(join(directory, "postgresql.auto.conf"), `primary_conninfo = '${address}'\n`);
  await own(directory, user);

  let server = await startPostmaster(directory, postgres, user, port);
  const superuserUrl = onPort(primary.superuserUrl, server.port);
  const receivers = () => ask<{ status: string }>(superuserUrl, "select status from pg_stat_wal_receiver");
  await until(async () => (await receivers())[0]?.status === "streaming", { what: "a standby that streams" });

  return {
    directory,
    superuserUrl,
    async catchUp() {
      const [head] = await ask<{ lsn: string }>(primary.superuserUrl, "select pg_current_wal_flush_lsn() as lsn");
      const reached = `select pg_last_wal_replay_lsn() >= '${head?.lsn}' as reached`;
      await until(async () => (await ask<{ reached: boolean }>(superuserUrl, reached))[0]?.reached, {
        what: "a standby that has caught up",
      });
    },
    async holdBack() {
      await ask(superuserUrl, "alter system set primary_conninfo = ''");
      await ask(superuserUrl, "select pg_reload_conf()");
      await until(async () => (await receivers()).length === 0, { what: "a standby that receives nothing more" });
    },
    async takeOver(onto) {
      await server.stop();
      server = await startPostmaster(directory, postgres, user, onto);
      if (server.port !== onto) throw new Error(`another program has the port ${onto}`);
      const promote = `select pg_promote(wait_seconds => ${TAKE_OVER_BOUND_SECONDS}) as done`;
      const [row] = await ask<{ done: boolean }>(onPort(superuserUrl, onto), promote);
      if (row?.done !== true) throw new Error("the standby was not promoted");
      return server;
    },
    stop: () => server.stop(),
  };
}

/** The embedded server lets nobody replicate, and forgets its log at the next checkpoint. */
async function allowReplication({ superuserUrl, directory }: StandbyOptions["primary"]): Promise<void> {
  await appendFile(join(directory, "pg_hba.conf"), "host replication postgres 127.0.0.1/32 scram-sha-256\n");
  await ask(superuserUrl, "alter system set wal_keep_size = '512MB'");
  await ask(superuserUrl, "select pg_reload_conf()");
}

/** A base backup: the files as they are, of different moments, and the label from where the log mends them. */
async function copy({ superuserUrl, directory }: StandbyOptions["primary"], to: string): Promise<void> {
  // One session: PostgreSQL ends the backup with it.
  const session = new pg.Client({ connectionString: superuserUrl });
  await session.connect();
  try {
    await session.query("select pg_backup_start('standby', fast => true)");
    await mkdir(to, { mode: 0o700 });
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries.map((entry) => ({
      entry,
      path: join(entry.parentPath, entry.name).slice(directory.length + 1),
    }));
    for (const { entry, path } of paths) {
      const [top = "", ...inside] = path.split("/");
      if (LEFT_OUT.includes(top) || path === CONTROL_FILE || (LEFT_EMPTY.includes(top) && inside.length > 0)) continue;
      if (entry.isDirectory()) await mkdir(join(to, path), { mode: 0o700 });
      else await copyFile(join(directory, path), join(to, path)).catch(ignoreGone);
    }
    await copyFile(join(directory, CONTROL_FILE), join(to, CONTROL_FILE));
    const { rows } = await session.query<{ labelfile: string }>("select labelfile from pg_backup_stop(wait_for_archive => false)"); // prettier-ignore
    await writeFile(join(to, "backup_label"), rows[0]?.labelfile ?? "");
  } finally {
    await session.end();
  }
}

/** A table that was dropped meanwhile. */
function ignoreGone(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

async function own(directory: string, { ids }: ServerUser): Promise<void> {
  await chmod(directory, 0o700);
  if (ids === null) return;
  const names = ["", ...(await readdir(directory, { recursive: true }))];
  for (const name of names) await lchown(join(directory, name), ids.uid, ids.gid);
}

function onPort(url: string, port: number): string {
  return Object.assign(new URL(url), { port: String(port) }).href;
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
