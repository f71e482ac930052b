import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

const SQLITE_BUSY = 5;

/** Held until `release`, or until the process is gone, however it died. */
export interface Lock {
  release(): void;
}

/**
 * Waits for the exclusive lock on a file, which is made when missing.
 * @throws when another process still holds it after `boundMs`.
 */
export async function acquireLock(path: string, boundMs: number): Promise<Lock> {
  // SQLite is Node's only way to a lock of the operating system: unlike a file with a pid in it, the kernel drops it
  // with its process, and it is not fooled by reused pids, reboots or another container's pids.
  const database = new DatabaseSync(path, { timeout: 0 });
  const deadline = performance.now() + boundMs;
  for (;;) {
    try {
      database.exec("pragma journal_mode = memory; begin exclusive");
      return { release: () => database.close() };
    } catch (error) {
      const busy = ((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY;
      if (!busy || performance.now() > deadline) {
        database.close();
        throw busy ? new Error(`${path} is still locked by another process after ${boundMs / 1000} s`) : error;
      }
    }
    await sleep(20);
  }
}
