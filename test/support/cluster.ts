import { chmod, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareBinaries } from "../../dist/database/embedded/binaries.js";
import { ensureCluster } from "../../dist/database/embedded/cluster.js";
import { startPostmaster } from "../../dist/database/embedded/postmaster.js";
import { chooseServerUser } from "../../dist/database/embedded/server-user.js";
import { lowPort } from "./low-port.ts";
import { within } from "./within.ts";

const CRASH_BOUND_MS = 30_000;

/** A PostgreSQL of the run's own, which it can take away. */
export interface Cluster {
  url: string;
  superuserUrl: string;
  /** A folder for whatever else the run needs. */
  folder: string;
  /** `fast`: as an operator restarts it; `crash`: it recovers when it starts. */
  restart(how: "fast" | "crash"): Promise<void>;
  remove(): Promise<void>;
}

export async function createCluster(): Promise<Cluster> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "atlas-chaos-")));
  // Else the server, which does not run as root, could not reach it.
  await chmod(folder, 0o755);
  const binaries = await prepareBinaries();
  const user = await chooseServerUser(folder, binaries.postgres);
  const { url, superuserUrl } = await ensureCluster(folder, binaries, user);
  const directory = join(folder, "cluster");
  const port = lowPort();
  const start = async () => {
    const started = await startPostmaster(directory, binaries.postgres, user, port);
    if (started.port === port) return started;
    await started.stop();
    throw new Error(`another program has PostgreSQL's port ${port}`);
  };
  let server = await start();
  const at = (address: string, database?: string): string =>
    Object.assign(new URL(address), { port: String(port), ...(database && { pathname: `/${database}` }) }).href;
  return {
    url: at(url),
    superuserUrl: at(superuserUrl, "atlas"),
    folder,
    async restart(how) {
      if (how === "crash") {
        const [pid] = (await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n");
        process.kill(Number(pid), "SIGQUIT");
        await within(CRASH_BOUND_MS, server.ended, "PostgreSQL's end");
      } else {
        await server.stop();
      }
      server = await start();
    },
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
