/**
 * A worker's heartbeat: it records that the worker lives, and returns the jobs that it holds and which of them are to be
 * canceled. One statement, as text, since the worker's beat thread runs it on its own connection.
 * Parameters: worker id, name, job types. Rows: {tenantId, id, attempt, cancel}.
 */
export const BEAT = `/* queue.beat */
with alive as (
  insert into workers as w (id, name, job_types, seen_at) values ($1::uuid, $2, $3::text[], clock_timestamp())
  on conflict (id) do update set seen_at = clock_timestamp()
)
select tenant_id as "tenantId", id, attempt, cancel_requested_at is not null as cancel
from jobs where worker_id = $1::uuid and not due and finished_at is null`;

/** Removes a worker that has ended in good order. Parameter: worker id. */
export const SIGN_OFF = `/* queue.sign_off */ delete from workers where id = $1`;
