import type { Transaction } from "../database/database.js";
import { JOB } from "../limits/policies.js";
import type { OriginKind } from "../words.js";
import { type Job, type JobOrigin, type JobRow, toJob } from "./job.js";

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

/** Whose new jobs are, and where they come from. */
export interface NewJobsOf {
  tenantId: string;
  origin: JobOrigin;
}

/**
 * Creates jobs, all or none, whatever their origin; nothing is counted for them: see `enqueueInDay`.
 * @returns the jobs in the order given.
 * @throws the driver's unique_violation when another create has taken an idempotency key meanwhile: see `isKeyTaken`.
 */
export async function enqueue(tx: Transaction, of: NewJobsOf, jobs: readonly NewJob[]): Promise<Job[]> {
  return inOrder(jobs, await tx.query<JobRow>(ENQUEUE, insertValues(of, jobs)));
}

/** Whether a create failed because a job with its idempotency key has come into being since `findReplays` looked. */
export function isKeyTaken(error: unknown): boolean {
  return error instanceof Error && "constraint" in error && error.constraint === "jobs_idempotency_key";
}

/**
 * The end of a statement that creates jobs, all or none. Its parameters are `$1` to `$6`; what comes before it, as a CTE that
 * must let them pass, has those from `$7` on.
 * @param condition in SQL: whether they are created.
 */
export function insertJobs(condition: string): string {
  return `insert into jobs (
  tenant_id, id, job_type, priority, input, run_at, max_attempts, max_attempts_by_type, timeout_ms, idempotency_key,
  created_by, created_by_schedule, created_by_job
)
select $1::uuid, new.id, new."jobType", new.priority, new.input,
  greatest(new."runAt", date_trunc('milliseconds', now())), coalesce(new."maxAttempts", $3::int),
  new."maxAttempts" is null, new."timeoutMs", new."idempotencyKey", $4::uuid, $5::uuid, $6::uuid
from jsonb_to_recordset($2::jsonb) as new (
  id uuid, "jobType" text, priority int, input jsonb, "runAt" timestamptz, "maxAttempts" int, "timeoutMs" int,
  "idempotencyKey" text
)
where ${condition}
-- Two creates that share keys take them in the same order: in different orders each would wait for the other for ever.
order by new."idempotencyKey"
returning *`;
}

/** The values of `$1` to `$6` in what `insertJobs` gives. */
export function insertValues({ tenantId, origin }: NewJobsOf, jobs: readonly NewJob[]): unknown[] {
  const idOf = (kind: OriginKind): string | null => (origin.kind === kind ? origin.id : null);
  return [tenantId, JSON.stringify(jobs), JOB.defaultAttempts, idOf("member"), idOf("schedule"), idOf("job")];
}

/** The created jobs, which a statement returns in any order, in the order given. */
export function inOrder(jobs: readonly NewJob[], rows: readonly JobRow[]): Job[] {
  const byId = new Map(rows.map((row) => [row.id, toJob(row)]));
  return jobs.map((job) => {
    const created = byId.get(job.id);
    if (created === undefined) throw new Error(`job ${job.id} was not created`);
    return created;
  });
}

const ENQUEUE = `/* queue.enqueue */
${insertJobs("true")}`;
