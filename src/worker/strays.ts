import type { Database } from "../database/database.js";
import { fail } from "../queue/fail.js";
import type { BeatenJob } from "./beat-thread.js";

/**
 * Ends attempts that the database counts as a worker's while the worker knows nothing of them: a claim was committed but
 * its answer lost, or they were given up while the database was away. Nobody else would before their timeout, since the
 * worker lives. As after a rescue they run again at once, or fail at the last attempt.
 * @returns how many.
 */
export async function endStrays(database: Database, workerId: string, strays: readonly BeatenJob[]): Promise<number> {
  return database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    let ended = 0;
    // Fenced by the attempt that the beat saw: a later one is no stray.
    for (const { tenantId, id, attempt } of strays) {
      if ((await fail(tx, { tenantId, id, workerId, attempt }, WORKER_LOST)) !== null) ended += 1;
    }
    return ended;
  });
}

const WORKER_LOST = {
  code: "worker_lost",
  message: "The worker lost touch with the database during this attempt",
  permanent: false,
  retryDelayMs: 0,
};
