import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { openEmbeddedDatabase, type EmbeddedDatabase } from "../../src/database/embedded/embedded.js";
import { readInstance } from "../../src/database/embedded/instance.js";
import { nodeArguments } from "../../src/database/embedded/launch.js";
import { createLogger } from "../../src/log.js";

const MODULE = new URL("../../src/database/embedded/embedded.ts", import.meta.url).href;
const log = createLogger("silent");
const isRoot = process.getuid?.() === 0;
export const itAsRoot = isRoot ? it : it.skip;
export const itWithNamespaces =
  isRoot && spawnSync("unshare", ["--user", "--map-user=65534", "--map-group=65534", "true"]).status === 0
    ? it
    : it.skip;

export let root: string;
export let dataDir: string;
let databases: EmbeddedDatabase[];
let children: ChildProcess[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "atlas embedded-"));
  await chmod(root, 0o755);
});

beforeEach(() => {
  moveTo("shared");
  databases = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(databases.map((database) => database.close()));
  await stopped();
});

afterAll(() => rm(root, { recursive: true }));

/** Has the test use another folder, of which it is told the way from `root`. */
export function moveTo(...way: string[]): void {
  dataDir = join(root, ...way);
}

export async function open(): Promise<EmbeddedDatabase> {
  const database = await openEmbeddedDatabase(dataDir, log);
  databases.push(database);
  return database;
}

/** Another process that holds the database, until it is killed unless told otherwise. */
export async function openInChild(
  then = "setInterval(() => {}, 60_000);",
): Promise<{ child: ChildProcess; url: string }> {
  const code = `import { openEmbeddedDatabase } from ${JSON.stringify(MODULE)};
    const log = { info() {}, error: console.error };
    const { url } = await openEmbeddedDatabase(${JSON.stringify(dataDir)}, log);
    console.log(url);
    ${then}`;
  const child = spawn(process.execPath, [...nodeArguments(MODULE), "--input-type=module", "--eval", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, url: String(line).trim() };
}

export async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function remember(url: string): Promise<void> {
  await query(url, "drop table if exists kept; create table kept as select 42 as answer");
}

export async function remembers(url: string): Promise<boolean> {
  const rows = await query(url, "select answer from kept").catch(() => []);
  return JSON.stringify(rows) === '[{"answer":42}]';
}

export async function serverPid(): Promise<number> {
  const text = await readFile(join(dataDir, "postgres", "cluster", "postmaster.pid"), "utf8").catch(() => "");
  return Number(text.split("\n")[0]);
}

/** Waits until the folder's watchdog has stopped its server and is about to be gone. */
export async function stopped(): Promise<void> {
  await until(async () => {
    const instance = await readInstance(join(dataDir, "postgres"));
    return instance === null || instance.watchdog === null;
  }, 20_000);
}

/** A program whose pid the server's user may signal, as PostgreSQL takes only such a one for a server. */
export async function bystanderOfServerUser(): Promise<ChildProcess> {
  const { uid, gid } = await stat(join(dataDir, "postgres", "cluster"));
  const child = spawn("/bin/sleep", ["60"], { stdio: "ignore", ...(isRoot ? { uid, gid, cwd: "/" } : {}) });
  children.push(child);
  await once(child, "spawn");
  return child;
}

export async function listen(port: number): Promise<Server> {
  const server = createServer();
  await once(server.listen(port, "127.0.0.1"), "listening");
  return server;
}

export async function uidOf(pid: number): Promise<number> {
  return (await stat(`/proc/${pid}`)).uid;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function until(condition: () => boolean | Promise<boolean>, boundMs: number): Promise<void> {
  const deadline = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not so after ${boundMs} ms: ${condition.toString()}`);
    await sleep(20);
  }
}
