import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";

export interface Rescued {
  tenantId: string;
  id: string;
  attempt: number;
  /** `queued` for its next attempt, `failed` after the last one, `canceled` if that was asked for. */
  status: JobStatus;
  /** `worker_lost` or `timeout`. */
  code: string;
}

const BATCH = 500;

/**
 * Takes running jobs away from workers that have not beaten for `deadAfterMs` or are gone; and jobs that run longer than
 * their timeout and `graceMs`, also from workers that live. They run again at once, without back-off.
 */
export async function rescue(
  tx: Transaction,
  limits: { deadAfterMs: number; defaultTimeoutMs: number; graceMs: number },
): Promise<Rescued[]> {
  return tx.query<Rescued>(RESCUE, [limits.deadAfterMs, limits.defaultTimeoutMs, limits.graceMs, BATCH]);
}

const RESCUE = `/* queue.rescue */
with held as materialized (
  select j.tenant_id, j.id, j.started_at,
    -- timeout_ms is for jobs that a worker of an older version has claimed, which does not know attempt_timeout_ms.
    coalesce(j.attempt_timeout_ms, j.timeout_ms, $2::int) as timeout_ms,
    not exists (
      select from workers w
      where w.id = j.worker_id and w.seen_at > clock_timestamp() - $1::int * interval '1 millisecond'
    ) as worker_lost
  from jobs j
  where j.worker_id is not null and not j.due and j.finished_at is null
), lost as materialized (
  select jobs.tenant_id, jobs.id, held.worker_lost from held
  join jobs on jobs.tenant_id = held.tenant_id and jobs.id = held.id
  where jobs.status = 'running' and jobs.started_at = held.started_at and (
    held.worker_lost
    or held.started_at + (held.timeout_ms::bigint + $3::int) * interval '1 millisecond' < clock_timestamp()
  )
  limit $4
  for update of jobs skip locked
)
update jobs set
  status = case
    when cancel_requested_at is not null then 'canceled'
    when attempt >= max_attempts then 'failed'
    else 'queued'
  end,
  error = jsonb_build_object(
    'code', case when lost.worker_lost then 'worker_lost' else 'timeout' end,
    'message', case
      when lost.worker_lost then 'The worker that ran this attempt was lost'
      else 'The attempt ran past its timeout and its worker did not end it'
    end,
    'attempt', attempt, 'occurredAt', clock_timestamp()
  ),
  run_at = case when cancel_requested_at is null and attempt < max_attempts then clock_timestamp() else run_at end
from lost
where jobs.tenant_id = lost.tenant_id and jobs.id = lost.id
returning jobs.tenant_id as "tenantId", jobs.id, jobs.attempt, jobs.status, jobs.error ->> 'code' as code`;
