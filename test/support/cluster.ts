import { chmod, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareBinaries } from "../../dist/database/embedded/binaries.js";
import { ensureCluster } from "../../dist/database/embedded/cluster.js";
import { startPostmaster } from "../../dist/database/embedded/postmaster.js";
import { chooseServerUser } from "../../dist/database/embedded/server-user.js";
import { lowPort } from "./low-port.ts";
import { type Standby, startStandby } from "./standby.ts";
import { within } from "./within.ts";

const CRASH_BOUND_MS = 30_000;

/** A PostgreSQL of the run's own, which it can take away, and replace by its standby. */
export interface Cluster {
  url: string;
  superuserUrl: string;
  /** A folder for whatever else the run needs. */
  folder: string;
  /** `fast`: as an operator restarts it; `crash`: it recovers when it starts. */
  restart(how: "fast" | "crash"): Promise<void>;
  /** Has the primary followed by a standby, which can be held back. There is one at most. */
  addStandby(): Promise<Standby>;
  /**
   * Ends the primary as a crash does and promotes the standby at the same address, where it can only be read for a moment.
   * What it has not received is lost. Afterwards there is no standby.
   */
  failOver(): Promise<void>;
  remove(): Promise<void>;
}

export async function createCluster(): Promise<Cluster> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "atlas-chaos-")));
  // Else the server, which does not run as root, could not reach it.
  await chmod(folder, 0o755);
  const binaries = await prepareBinaries();
  const user = await chooseServerUser(folder, binaries.postgres);
  const { url, superuserUrl } = await ensureCluster(folder, binaries, user);
  const port = lowPort();
  const at = (address: string, database: string): string =>
    Object.assign(new URL(address), { port: String(port), pathname: `/${database}` }).href;

  let directory = join(folder, "cluster");
  let standby: Standby | null = null;
  let standbys = 0;
  const start = async () => {
    const started = await startPostmaster(directory, binaries.postgres, user, port);
    if (started.port === port) return started;
    await started.stop();
    throw new Error(`another program has PostgreSQL's port ${port}`);
  };
  let server = await start();
  const crash = async (): Promise<void> => {
    const [pid] = (await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n");
    process.kill(Number(pid), "SIGQUIT");
    await within(CRASH_BOUND_MS, server.ended, "PostgreSQL's end");
  };

  const cluster: Cluster = {
    url: at(url, "atlas"),
    superuserUrl: at(superuserUrl, "atlas"),
    folder,
    async restart(how) {
      await (how === "crash" ? crash() : server.stop());
      server = await start();
    },
    async addStandby() {
      if (standby !== null) throw new Error("there is a standby already");
      standbys += 1;
      standby = await startStandby({
        primary: { superuserUrl: cluster.superuserUrl, directory },
        directory: join(folder, `standby-${standbys}`),
        postgres: binaries.postgres,
        user,
        port: lowPort(),
      });
      return standby;
    },
    async failOver() {
      if (standby === null) throw new Error("there is no standby");
      await crash();
      const lost = directory;
      server = await standby.takeOver(port);
      directory = standby.directory;
      standby = null;
      await rm(lost, { recursive: true });
    },
    async remove() {
      await standby?.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  return cluster;
}
