import type { Transaction } from "../database/database.js";
import { inOrder, insertJobs, insertValues, type NewJob } from "./enqueue.js";
import type { Job, JobRow } from "./job.js";

/**
 * Creates a member's jobs, all or none, and counts them against the member's day (UTC): one statement, whose upsert
 * refuses to pass the limit however many creates run at once.
 * @param dailyLimit null: no limit.
 * @returns the jobs in the order given; null when the day's limit would be passed.
 * @throws as `enqueue`
 */
export async function enqueueInDay(
  tx: Transaction,
  { tenantId, userId, dailyLimit }: { tenantId: string; userId: string; dailyLimit: number | null },
  jobs: readonly NewJob[],
): Promise<Job[] | null> {
  const of = { tenantId, origin: { kind: "member", id: userId } } as const;
  const rows = await tx.query<JobRow>(ENQUEUE_IN_DAY, [...insertValues(of, jobs), jobs.length, dailyLimit]);
  return rows.length === 0 ? null : inOrder(jobs, rows);
}

// $4 is the member, whom the jobs are created by.
const ENQUEUE_IN_DAY = `/* queue.enqueue_in_day */
with admitted as (
  insert into daily_usage as u (tenant_id, user_id, day, used)
  select $1::uuid, $4::uuid, (now() at time zone 'utc')::date, $7::int
  where $8::int is null or $7::int <= $8::int
  on conflict (tenant_id, user_id, day) do update set used = u.used + excluded.used
  where $8::int is null or u.used + excluded.used <= $8::int
  returning used
)
${insertJobs("exists (select from admitted)")}`;
