import type { Transaction } from "../database/database.js";

const BATCH = 1000;
const DEAD_WORKER_DAYS = 1;

/**
 * Removes what is older than the retention, a bounded batch a call: the oldest events, the finished jobs whose last
 * event is among them, old usage, and workers long gone. `installation.pruned_position` moves with the events: a
 * cursor at or before it can no longer be resumed.
 * @returns whether a full batch was found, so that there may be more.
 */
export async function prune(tx: Transaction, retentionDays: number): Promise<{ events: number; more: boolean }> {
  const [pruned] = await tx.query<{ events: number }>(PRUNE, [retentionDays, BATCH]);
  await tx.query(PRUNE_USAGE, [retentionDays, BATCH]);
  await tx.query(PRUNE_WORKERS, [DEAD_WORKER_DAYS]);
  const events = pruned?.events ?? 0;
  return { events, more: events === BATCH };
}

// Driven by the log's own order, so that jobs need no index on finished_at. Stops at the first event that is young
// enough or not yet readable: positions below the watermark are final.
const PRUNE = `/* queue.prune */
with head as materialized (
  select tenant_id, job_id, version, position, id, occurred_at from job_events
  where position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select position_offset from installation)
  order by position, id limit $2
), old as materialized (
  select * from head
  where (position, id) < coalesce(
    (select (position, id) from head where occurred_at >= now() - $1::int * interval '1 day' order by position, id limit 1),
    (9223372036854775807, 9223372036854775807)
  )
), jobs_gone as (
  delete from jobs using old
  where jobs.tenant_id = old.tenant_id and jobs.id = old.job_id and jobs.version = old.version
    and jobs.finished_at is not null
), events_gone as (
  delete from job_events e using old
  where e.tenant_id = old.tenant_id and e.job_id = old.job_id and e.version = old.version
), moved as (
  update installation set pruned_position = greatest(pruned_position, (select max(position) from old))
  where exists (select from old)
), forgotten as (
  delete from lost_positions where next_position <= (select pruned_position from installation)
)
select count(*)::int as events from old`;

const PRUNE_USAGE = `/* queue.prune_usage */
delete from daily_usage where (tenant_id, user_id, day) in (
  select tenant_id, user_id, day from daily_usage where day < (now() at time zone 'utc')::date - $1::int limit $2
)`;

const PRUNE_WORKERS = `/* queue.prune_workers */
delete from workers where seen_at < now() - $1::int * interval '1 day'`;
