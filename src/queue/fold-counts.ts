import type { Transaction } from "../database/database.js";

const BATCH = 10_000;

/**
 * Sums up the deltas of `job_counts` into one row for each tenant, type and status, so that counting stays cheap.
 * @returns whether there may be more.
 */
export async function foldCounts(tx: Transaction): Promise<boolean> {
  const [row] = await tx.query<{ taken: number }>(FOLD, [BATCH]);
  return row?.taken === BATCH;
}

const FOLD = `/* queue.fold_counts */
with taken as (
  delete from job_counts where id in (select id from job_counts order by id limit $1 for update skip locked)
  returning tenant_id, job_type, status, delta
), folded as (
  insert into job_counts (tenant_id, job_type, status, delta)
  select tenant_id, job_type, status, sum(delta) from taken
  group by tenant_id, job_type, status having sum(delta) <> 0
)
select count(*)::int as taken from taken`;
