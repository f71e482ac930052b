import { mkdir, realpath } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../log.js";
import { hold } from "./holders.js";
import { readInstance } from "./instance.js";
import { launchWatchdog, type Launched } from "./launch.js";

/** This process's hold on a DATA_DIR's embedded PostgreSQL. */
export interface EmbeddedDatabase {
  /** postgres://… of the service's login: no superuser, but it owns the database and may create roles. */
  readonly url: string;
  /** Releases the hold; the server stops a second after its last holder's release or death. */
  close(): Promise<void>;
}

/** The longest start: the first one on a slow machine, or a recovery after a crash, once another server has stopped. */
const OPEN_BOUND_MS = 120_000;
const POLL_MS = 20;
const RETRY_MS = 2_000;

/**
 * Finds the embedded PostgreSQL that runs on `dataDir`, or starts it, and makes it first when there is none. It is
 * shared by every process that opens the folder, and belongs to none: a watchdog process keeps it up while one of them
 * lives. When that is killed, holders log it and start another, with the same address and passwords.
 * @throws when the server cannot be started, with the end of its log.
 */
export async function openEmbeddedDatabase(dataDir: string, log: Logger): Promise<EmbeddedDatabase> {
  const path = join(dataDir, "postgres");
  await mkdir(path, { recursive: true });
  const home = await realpath(path);
  const closing = new AbortController();

  const keepHeld = ({ socket, url }: Held) => {
    if (closing.signal.aborted) socket.destroy();
    else closing.signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.once("close", () => {
      if (!closing.signal.aborted) void regain(url);
    });
  };
  const regain = async (url: string) => {
    log.error({ dataDir }, "the embedded PostgreSQL's watchdog is gone: starting it again");
    while (!closing.signal.aborted) {
      try {
        const held = await openHold(home, log, closing.signal);
        if (held.url !== url) log.error({ dataDir }, "the embedded PostgreSQL has another address now: restart");
        return keepHeld(held);
      } catch (error) {
        if (!closing.signal.aborted) log.error(error, "the embedded PostgreSQL does not start");
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  };

  const held = await openHold(home, log, closing.signal);
  keepHeld(held);
  return {
    url: held.url,
    close: async () => closing.abort(),
  };
}

interface Held {
  readonly socket: Socket;
  readonly url: string;
}

async function openHold(home: string, log: Logger, signal: AbortSignal): Promise<Held> {
  const deadline = performance.now() + OPEN_BOUND_MS;
  let launched: Launched | null = null;
  try {
    for (;;) {
      signal.throwIfAborted();
      const instance = await readInstance(home);
      const watchdog = instance?.watchdog ?? null;
      const socket = watchdog === null ? null : await hold(watchdog);
      if (instance !== null && watchdog !== null && socket !== null) {
        // Another process's watchdog got the lock first: ours still waits for it.
        if (launched?.child.pid === watchdog.pid) launched = null;
        return { socket, url: instance.url };
      }

      if (launched === null) launched = await launchWatchdog(home, log);
      else if (launched.child.exitCode === 0) launched = null;
      else if (launched.child.exitCode !== null || launched.child.signalCode !== null) {
        throw new Error(`The embedded PostgreSQL does not start; its log ends:\n${await launched.logTail()}`);
      }
      if (performance.now() > deadline) {
        const tail = await launched?.logTail();
        throw new Error(`The embedded PostgreSQL is not up after ${OPEN_BOUND_MS / 1000} s; its log ends:\n${tail}`);
      }
      await sleep(POLL_MS);
    }
  } finally {
    launched?.child.kill();
  }
}
