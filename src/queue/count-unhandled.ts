import type { Transaction } from "../database/database.js";

/** Queued jobs of a type that no worker handles which is alive. */
export interface Unhandled {
  jobType: string;
  queued: number;
}

/** Counts them, all tenants together: the types with the most, up to `limit`. */
export async function countUnhandled(
  tx: Transaction,
  { deadAfterMs, limit }: { deadAfterMs: number; limit: number },
): Promise<Unhandled[]> {
  return tx.query<Unhandled>(COUNT_UNHANDLED, [deadAfterMs, limit]);
}

const COUNT_UNHANDLED = `/* queue.count_unhandled */
select job_type as "jobType", sum(delta)::int as queued
from job_counts
where status = 'queued' and not exists (
  select from workers w
  where w.seen_at > clock_timestamp() - $1::int * interval '1 millisecond' and job_counts.job_type = any (w.job_types)
)
group by job_type having sum(delta) > 0
order by queued desc, job_type limit $2`;
