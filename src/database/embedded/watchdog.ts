/**
 * The process to which the server of a DATA_DIR belongs. It takes the folder's lock, starts the server, tells
 * `instance.json` where holders find it, and stops the server once the last holder's connection is gone. Its output is
 * the server's log.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { ensureCluster } from "./cluster.js";
import { onPort, writeInstance } from "./instance.js";
import type { Order } from "./launch.js";
import { acquireLock } from "./lock.js";
import { startPostmaster, stopOrphan } from "./postmaster.js";

const LOCK_BOUND_MS = 60_000;
/** The opener that started us is sure to come, but its machine may be busy. */
const FIRST_HOLDER_MS = 5_000;
/** Long enough that one command after another finds the server still running. */
const LAST_HOLDER_MS = 1_000;
const INTRODUCTION_MS = 2_000;

const { home, binaries, user } = JSON.parse(process.argv[2] ?? "") as Order;
const cluster = join(home, "cluster");

// A terminal's Ctrl-C is for the service, which drains with the database still there.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
const terminated = new Promise<void>((resolve) => process.once("SIGTERM", resolve));
let stopping = false;
void terminated.then(() => (stopping = true));

const lock = await acquireLock(join(home, "lock"), LOCK_BOUND_MS, () => stopping);
