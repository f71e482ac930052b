import type { Transaction } from "../database/database.js";

/** An attempt in a worker's hands. */
export interface HeldAttempt {
  tenantId: string;
  id: string;
  jobType: string;
  attempt: number;
  /** It has run past its timeout and the grace. */
  overdue: boolean;
}

/** Reads the attempts that a worker holds, the oldest first. */
export async function readHeld(
  tx: Transaction,
  workerId: string,
  { defaultTimeoutMs, graceMs }: { defaultTimeoutMs: number; graceMs: number },
): Promise<HeldAttempt[]> {
  return tx.query<HeldAttempt>(READ_HELD, [workerId, defaultTimeoutMs, graceMs]);
}

const READ_HELD = `/* queue.read_held */
select tenant_id as "tenantId", id, job_type as "jobType", attempt,
  started_at + (coalesce(attempt_timeout_ms, $2::int)::bigint + $3::int) * interval '1 millisecond' < clock_timestamp() as overdue
from jobs where worker_id = $1::uuid and not due and finished_at is null
order by started_at`;
