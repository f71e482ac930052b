import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lowPort } from "./low-port.ts";
import { until } from "./until.ts";

/** Debian has it in /usr/sbin; where it is not installed, nothing of it can be shown. */
const PATH = `${process.env["PATH"]}:/usr/sbin`;
export const nginxIsInstalled = spawnSync("nginx", ["-v"], { env: { PATH } }).status === 0;

/** Debian's `nobody` and `nogroup`. */
const NOBODY = 65_534;

/** An nginx of a test's own. */
export interface Nginx {
  port: number;
  url: string;
  /** What it has complained of. */
  errors(): string;
  close(): Promise<void>;
}

/**
 * Starts nginx with its defaults, as nobody where we may choose.
 * @param http what stands in its `http` block; `PORT` in it is the port to listen on.
 */
export async function startNginx(http: string): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "atlas-nginx-"));
  const port = lowPort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n")}
      ${http.replaceAll("PORT", String(port))}
    }`;
  await writeFile(join(folder, "nginx.conf"), config);
  const root = process.getuid?.() === 0;
  if (root) await chown(folder, NOBODY, NOBODY);
  const child: ChildProcess = spawn("nginx", ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")], {
    env: { PATH },
    stdio: ["ignore", "ignore", "pipe"],
    ...(root && { uid: NOBODY, gid: NOBODY }),
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (errors += chunk));
  await until(() => {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${errors}`);
    return listens(port);
  });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    errors: () => errors,
    async close() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

async function listens(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  const open = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return open;
}
