import type { Database } from "../database/database.js";
import { SIGN_OFF } from "../queue/beat.js";
import { fail } from "../queue/fail.js";
import { readHeld } from "../queue/read-held.js";
import { retryDelayMs } from "../queue/retry-policy.js";
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

/**
 * Ends the attempts of a worker that has ended without doing so, and signs it off. They run again at once, as after a
 * rescue; those that are overdue have overrun their timeout.
 * @returns how many.
 */
export async function endAllHeld(
  database: Database,
  workerId: string,
  limits: { defaultTimeoutMs: number; graceMs: number },
): Promise<number> {
  return database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    const held = await readHeld(tx, workerId, limits);
    for (const { tenantId, id, attempt, overdue } of held) {
      const failure = overdue
        ? { ...OVERRAN, retryDelayMs: retryDelayMs({ attempt, backoff: null, retryAfterMs: null }) }
        : WORKER_ENDED;
      await fail(tx, { tenantId, id, workerId, attempt }, failure);
    }
    await tx.query(SIGN_OFF, [workerId]);
    return held.length;
  });
}

const WORKER_LOST = {
  code: "worker_lost",
  message: "The worker lost touch with the database during this attempt",
  permanent: false,
  retryDelayMs: 0,
};

const WORKER_ENDED = { ...WORKER_LOST, message: "The worker that ran this attempt has failed" };

const OVERRAN = {
  code: "timeout",
  message: "The attempt ran past its timeout and blocked its worker, which was ended",
  permanent: false,
};
