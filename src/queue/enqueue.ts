import type { Transaction } from "../database/database.js";
import { JOB } from "../limits/policies.js";
import { type Job, type JobRow, toJob } from "./job.js";

export interface NewJob {
  id: string;
  jobType: string;
  priority: number;
  input: Record<string, unknown>;
  /** null, or past: now. */
  runAt: Date | null;
  /** null: the job type's own, which its first attempt's worker knows; the default until then, and where the type names none. */
  maxAttempts: number | null;
  /** An attempt's time; null: the job type's own, or the worker's default. */
  timeoutMs: number | null;
  /** Unique in the tenant as long as the job is kept; null: none. */
  idempotencyKey: string | null;
}

/**
 * Creates a member's jobs, all or none, and counts them against the member's day (UTC): one statement, whose upsert
 * refuses to pass the limit however many creates run at once.
 * @param dailyLimit null: no limit.
 * @returns the jobs in the order given; null when the day's limit would be passed.
 * @throws the driver's unique_violation when another create has taken an idempotency key meanwhile: see `isKeyTaken`.
 */
export async function enqueue(
  tx: Transaction,
  member: { tenantId: string; userId: string; dailyLimit: number | null },
  jobs: readonly NewJob[],
): Promise<Job[] | null> {
  const rows = await tx.query<JobRow>(ENQUEUE, [
    member.tenantId,
    member.userId,
    jobs.length,
    member.dailyLimit,
    JSON.stringify(jobs),
    JOB.defaultAttempts,
  ]);
  if (rows.length === 0) return null;
  const byId = new Map(rows.map((row) => [row.id, toJob(row)]));
  return jobs.map((job) => {
    const created = byId.get(job.id);
    if (created === undefined) throw new Error(`job ${job.id} was not created`);
    return created;
  });
}

/** Whether a create failed because a job with its idempotency key has come into being since `findReplays` looked. */
export function isKeyTaken(error: unknown): boolean {
  return error instanceof Error && "constraint" in error && error.constraint === "jobs_idempotency_key";
}

const ENQUEUE = `/* queue.enqueue */
with usage as (
  insert into daily_usage as u (tenant_id, user_id, day, used)
  select $1::uuid, $2::uuid, (now() at time zone 'utc')::date, $3::int
  where $4::int is null or $3::int <= $4::int
  on conflict (tenant_id, user_id, day) do update set used = u.used + excluded.used
  where $4::int is null or u.used + excluded.used <= $4::int
  returning used
)
insert into jobs (
  tenant_id, id, job_type, priority, input, run_at, max_attempts, max_attempts_by_type, timeout_ms, idempotency_key,
  created_by
)
select $1::uuid, new.id, new."jobType", new.priority, new.input,
  greatest(new."runAt", date_trunc('milliseconds', now())), coalesce(new."maxAttempts", $6::int),
  new."maxAttempts" is null, new."timeoutMs", new."idempotencyKey", $2::uuid
from jsonb_to_recordset($5::jsonb) as new (
  id uuid, "jobType" text, priority int, input jsonb, "runAt" timestamptz, "maxAttempts" int, "timeoutMs" int,
  "idempotencyKey" text
)
where exists (select from usage)
-- Two creates that share keys wait for one another in the same order, and so not for ever.
order by new."idempotencyKey"
returning *`;
