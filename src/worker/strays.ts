import type { Database } from "../database/database.js";
import { SIGN_OFF } from "../queue/beat.js";
import { fail } from "../queue/fail.js";
import { readHeld } from "../queue/read-held.js";
import { release } from "../queue/release.js";
import { retryDelayMs } from "../queue/retry-policy.js";
import type { BeatenJob } from "./beat-thread.js";

/**
 * Ends attempts which the database says a worker has, but which the worker does not know: the answer of a committed claim was
 * lost, or the worker gave them up while the database was away. The other workers would rescue them only at their timeout, since
 * this one lives. As after a rescue they run again at once, or fail at the last attempt.
 * @returns how many.
 */
export async function endStrays(database: Database, workerId: string, strays: readonly BeatenJob[]): Promise<number> {
  // The fence names the attempt that the beat saw: a later one of the same job is left alone.
  const lost = strays.map(({ tenantId, id, attempt }) => ({ tenantId, id, workerId, attempt, ...WORKER_LOST }));
  const ended = await database.transaction({ role: "worker", actor: `worker:${workerId}` }, (tx) => fail(tx, lost));
  return ended.filter((status) => status !== null).length;
}

/**
 * Ends the attempts of a worker that has ended without doing so, and signs it off. If some are past their timeout, the worker
 * was ended because of them: they fail, and the others are released without a loss of attempts. If none is, any of them may have
 * ended the worker: all fail as `worker_lost` and run again at once, as after a rescue.
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
    const jobs = held.map(({ tenantId, id, attempt, overdue }) => ({ tenantId, id, workerId, attempt, overdue }));
    const failures = jobs.flatMap(({ overdue, ...job }) => {
      const retryIn = retryDelayMs({ attempt: job.attempt, backoff: null, retryAfterMs: null });
      if (overdue) return { ...job, ...OVERRAN, retryDelayMs: retryIn };
      return someOverdue ? [] : { ...job, ...WORKER_ENDED };
    });
    await fail(tx, failures);
    if (someOverdue)
      await release(
        tx,
        jobs.filter(({ overdue }) => !overdue),
      );
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
