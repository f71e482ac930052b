import type { Transaction } from "../database/database.js";

const BATCH = 1000;

/**
 * Marks up to a thousand jobs due whose time has come: future and backed-off jobs, which until then keep out of the
 * index that claims read.
 * @returns how many, so that the caller goes on after a full batch.
 */
export async function makeDue(tx: Transaction): Promise<{ made: number; more: boolean }> {
  const made = (await tx.query(MAKE_DUE, [BATCH])).length;
  return { made, more: made === BATCH };
}

// now(), which is stable: an index cannot be read up to clock_timestamp(), and every future job would be looked at.
const MAKE_DUE = `/* queue.make_due */
with ripe as materialized (
  select tenant_id, id from jobs
  where worker_id is null and run_at <= now() and not due and finished_at is null and status = 'queued'
  order by run_at limit $1
  for update skip locked
)
update jobs set due = true from ripe
where jobs.tenant_id = ripe.tenant_id and jobs.id = ripe.id
returning jobs.id`;
