/**
 * The process to which the server of a DATA_DIR belongs: it holds the folder's lock, starts the server, says in
 * `instance.json` where holders find it, and stops it once the last of them is gone. Its output is the server's log.
 */
import { join } from "node:path";
import { ensureCluster } from "./cluster.js";
import { takeHolders } from "./holders.js";
import { onPort, writeInstance } from "./instance.js";
import type { Order } from "./launch.js";
import { acquireLock } from "./lock.js";
import { startPostmaster, stopOrphan } from "./postmaster.js";

const LOCK_BOUND_MS = 60_000;

const { home, binaries, user } = JSON.parse(process.argv[2] ?? "") as Order;
const cluster = join(home, "cluster");

// The lock, the log and the passwords are for this user only.
process.umask(0o077);
const lock = await acquireLock(join(home, "lock"), LOCK_BOUND_MS);

const { promise: ending, resolve: end } = Promise.withResolvers<string>();
process.once("SIGTERM", () => end("it was told to stop"));
// Signals from the terminal are ignored here: the service handles them, and needs the database until it has drained.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);

await stopOrphan(cluster, binaries.postgres);
const made = await ensureCluster(home, binaries, user);
const postmaster = await startPostmaster(cluster, binaries.postgres, user, Number(new URL(made.url).port));
const instance = onPort(made, postmaster.port);
void postmaster.ended.then(() => {
  process.exitCode = 1;
  end("its server ended");
});

const holders = await takeHolders(() => end("its last holder is gone"));
await writeInstance(home, { ...instance, watchdog: { pid: process.pid, port: holders.port, secret: holders.secret } });

console.error(`the watchdog ends: ${await ending}`);
holders.close();
const { exitCode } = process;
await postmaster.stop();
await writeInstance(home, { ...instance, watchdog: null });
lock.release();
process.exit(exitCode);
