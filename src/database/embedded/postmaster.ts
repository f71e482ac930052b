import { execFile, spawn, type ChildProcess } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { spawnAs, type ServerUser } from "./server-user.js";

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "128MB",
  password_encryption: "scram-sha-256",
  timezone: "UTC",
  log_timezone: "UTC",
  // A failed statement is reported to its caller; in the log its text could show private values.
  log_min_messages: "log",
  log_checkpoints: "off",
};

const START_BOUND_MS = 60_000;
/** Fast shutdown, then immediate. Never SIGKILL: the server's sessions would outlive it. */
const STOPS = [
  { signal: "INT", boundMs: 20_000 },
  { signal: "QUIT", boundMs: 10_000 },
] as const;

/** A running server. */
export interface Postmaster {
  readonly port: number;
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Fast shutdown: open transactions are rolled back. Resolves when the server has ended. @throws when it has not after 30 s. */
  stop(): Promise<void>;
}

/**
 * Starts the server on `preferredPort`, or another when that is taken, and waits until it answers; it ends soon after
 * this process, however that dies. Says why in the log when it does not start.
 * @throws when it does not answer within a minute, or ends.
 */
export async function startPostmaster(
  cluster: string,
  postgres: string,
  user: ServerUser,
  preferredPort: number,
): Promise<Postmaster> {
  // Another program may take the port first, and sessions of a killed server may not have ended yet.
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryStart(cluster, postgres, user, await freePort(preferredPort));
    } catch (error) {
      if (attempt === 3) throw error;
    }
    await sleep(300);
  }
}

/**
 * Stops the server that a killed watchdog left on this data directory, if there is one. The caller holds the lock.
 * @throws when it has not ended after 30 s.
 */
export async function stopOrphan(cluster: string, postgres: string): Promise<void> {
  const [line] = await readPidFile(cluster);
  const pid = Number(line);
  if (!(pid > 0)) return;
  if (await isPostmaster(pid, cluster)) {
    console.error(`stopping the server ${pid}, whose watchdog is gone`);
    await stop(pid, postgres, async () => !(await isPostmaster(pid, cluster)));
  }
  // Since a crash of the machine the pid may be another program's, which PostgreSQL would take for its server.
  if (isAlive(pid)) await rm(join(cluster, "postmaster.pid"), { force: true });
}

async function tryStart(cluster: string, postgres: string, user: ServerUser, port: number): Promise<Postmaster> {
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawnAs(user, postgres, ["-D", cluster, ...settings], ["ignore", "inherit", "inherit"]);
  let running = true;
  const ended = new Promise<void>((resolve) => {
    server.once("error", (error) => console.error(error));
    server.once("close", () => resolve());
  }).then(() => {
    running = false;
  });
  const pid = String(server.pid);

  const ready = async () => {
    const file = await readPidFile(cluster);
    return file[0] === pid && file[7]?.trim() === "ready";
  };
  await pollUntil(async () => !running || (await ready()), START_BOUND_MS);
  if (!running) throw new Error("the server ended before it was ready");
  const stopServer = () => stop(Number(pid), postgres, () => !running);
  if (!(await ready())) {
    await stopServer();
    throw new Error(`the server was not ready after ${START_BOUND_MS / 1000} s`);
  }

  const guard = stopWithThisProcess(pid);
  return { port, ended: ended.finally(() => guard?.kill("SIGKILL")), stop: stopServer };
}

/** A shell whose input ends when this process dies, even by kill -9; it then stops the server. */
function stopWithThisProcess(pid: string): ChildProcess | null {
  if (process.platform === "win32") return null;
  const guard = spawn("/bin/sh", ["-c", 'read -r _; kill -INT "$1"', "sh", pid], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  return guard.on("error", (error) => console.error(error));
}

async function stop(pid: number, postgres: string, ended: () => boolean | Promise<boolean>): Promise<void> {
  for (const { signal, boundMs } of STOPS) {
    if (await ended()) return;
    await send(pid, signal, postgres);
    if (await pollUntil(ended, boundMs)) return;
  }
  throw new Error(`the server ${pid} has not ended`);
}

async function send(pid: number, signal: "INT" | "QUIT", postgres: string): Promise<void> {
  // Windows has no signals: PostgreSQL takes them by a pipe of its own there.
  if (process.platform === "win32") await outputOf(join(dirname(postgres), "pg_ctl"), ["kill", signal, String(pid)]);
  else if (isAlive(pid)) process.kill(pid, `SIG${signal}`);
}

/** Whether the pid is this data directory's server, not a program that got its pid since. */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  switch (process.platform) {
    case "linux":
      return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").includes(cluster);
    case "win32":
      return (await outputOf("tasklist", ["/NH", "/FI", `PID eq ${pid}`])).includes("postgres");
    default:
      return (await outputOf("ps", ["-ww", "-o", "command=", "-p", String(pid)])).includes(` -D ${cluster} `);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function outputOf(program: string, args: string[]): Promise<string> {
  return new Promise((resolve) => execFile(program, args, (_error, stdout) => resolve(stdout)));
}

/** The lines of postmaster.pid: the pid is the first, the state the eighth; empty: no server. */
async function readPidFile(cluster: string): Promise<string[]> {
  const text = await readFile(join(cluster, "postmaster.pid"), "utf8").catch(() => "");
  return text === "" ? [] : text.split("\n");
}

async function freePort(preferred: number): Promise<number> {
  return (await canListen(preferred)) ?? (await canListen(0)) ?? 0;
}

/** The port, or the one chosen for 0; null when it is taken. */
function canListen(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => {
      const { port: found } = server.address() as AddressInfo;
      server.close(() => resolve(found));
    });
  });
}

/** @returns whether the condition came true within the bound. */
async function pollUntil(condition: () => boolean | Promise<boolean>, boundMs: number): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}
