import type { Database } from "../database/database.js";
import { SIGN_OFF } from "../queue/beat.js";
import { fail } from "../queue/fail.js";
import { readHeld } from "../queue/read-held.js";
import { release } from "../queue/release.js";
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
 * Ends the attempts of a worker that has ended without doing so, and signs it off. Those that are overdue have overrun their
 * timeout, and are what the worker was ended for: the others are handed back. Where none is, each may be what has ended it,
 * and all run again at once, as after a rescue.
 * @returns how many.
 */
export async function endAllHeld(
  database: Database,
  workerId: string,
  limits: { defaultTimeoutMs: number; graceMs: number },
): Promise<number> {
  return database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    const held = await readHeld(tx, workerId, limits);
    const someOverdue = held.some(({ overdue }) => overdue);
    for (const { tenantId, id, attempt, overdue } of held) {
      const job = { tenantId, id, workerId, attempt };
      const delayMs = retryDelayMs({ attempt, backoff: null, retryAfterMs: null });
      if (overdue) await fail(tx, job, { ...OVERRAN, retryDelayMs: delayMs });
      else if (someOverdue) await release(tx, job);
      else await fail(tx, job, WORKER_ENDED);
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
