import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { extname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "../../log.js";
import { prepareBinaries, type Binaries } from "./binaries.js";
import { chooseServerUser, type ServerUser } from "./server-user.js";

/** What a watchdog is told. */
export interface Order {
  readonly home: string;
  readonly binaries: Binaries;
  readonly user: ServerUser;
}

/** A watchdog started by this process. */
export interface Launched {
  readonly child: ChildProcess;
  /** The end of what the server's log says since then. */
  logTail(): Promise<string>;
}

/**
 * Node's arguments to run one of this package's modules: none when it is compiled. In the TypeScript source, whose
 * types Node strips itself, imports name the compiled files.
 */
export function nodeArguments(module: string): string[] {
  if (extname(module) === ".js") return [];
  const hook = `import { registerHooks } from "node:module";
    registerHooks({
      resolve: (name, context, next) => next(name.startsWith(".") ? name.replace(/\\.js$/, ".ts") : name, context),
    });`;
  return ["--disable-warning=ExperimentalWarning", "--import", `data:text/javascript,${encodeURIComponent(hook)}`];
}

/**
 * Starts a watchdog in a session of its own. It waits for the lock, so that of several only one has a server.
 * @throws when PostgreSQL's programs cannot be run here.
 */
export async function launchWatchdog(home: string, log: Logger): Promise<Launched> {
  const binaries = await prepareBinaries();
  const user = await chooseServerUser(home, binaries.postgres);
  if (user.ids !== null)
    log.info({ user: user.name }, "PostgreSQL does not run as root: its server runs as another user");

  const order: Order = { home, binaries, user };
  const module = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url).href;
  const logPath = join(home, "server.log");
  const output = await open(logPath, "a", 0o600);
  try {
    const { size } = await output.stat();
    const args = [...nodeArguments(module), fileURLToPath(module), JSON.stringify(order)];
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ["ignore", output.fd, output.fd],
      cwd: parse(home).root,
      env: {},
      windowsHide: true,
    });
    await once(child, "spawn");
    child.unref();
    return { child, logTail: async () => (await readFile(logPath)).subarray(size).toString().slice(-2_000) };
  } finally {
    await output.close();
  }
}
