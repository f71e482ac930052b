import type { Database } from "../database/database.js";
import { JobEntity } from "../database/entities/job.entity.js";
import { fail } from "../queue/fail.js";
import type { BeatenJob } from "./beat-thread.js";

/**
 * Ends attempts that the database counts as a worker's while the worker knows nothing of them: a claim was committed but
 * its answer lost, or they were given up while the database was away. Nobody else would before their timeout, since the
 * worker lives. As after a rescue they run again at once, or fail at the last attempt.
 * @returns how many.
 */
export async function endStrays(database: Database, workerId: string, strays: readonly BeatenJob[]): Promise<number> {
  const attempts = new Map(strays.map(({ id, attempt }) => [id, attempt]));
  return database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    const held = await tx.em.find(
      JobEntity,
      { workerId, due: false, finishedAt: null, id: { $in: [...attempts.keys()] } },
      { fields: ["tenantId", "id"] },
    );
    let ended = 0;
    for (const { tenantId, id } of held) {
      // Fenced by the attempt that the beat saw: a later one is no stray.
      const stray = { tenantId, id, workerId, attempt: attempts.get(id) ?? 0 };
      if ((await fail(tx, stray, WORKER_LOST)) !== null) ended += 1;
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
