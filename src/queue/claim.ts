import { withDoubles } from "../bounds/exact-json.js";
import type { Transaction } from "../database/database.js";
import { type ClaimedJob, type ClaimedJobRow, toClaimedJob } from "./job.js";

/** What a job type's module names for jobs whose creator named nothing; null: the default. */
export interface TypeSettings {
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
}

/**
 * Takes up to `limit` due jobs of the given types for a worker: highest priority first, then oldest `runAt`. Jobs that
 * another worker is taking at this moment are skipped, not waited for. A job's attempts are its type's from its first
 * claim on, its timeout from each.
 */
export async function claim(
  tx: Transaction,
  worker: {
    workerId: string;
    jobTypes: readonly string[];
    limit: number;
    /** By job type; a type that is missing names nothing. */
    settings?: Readonly<Record<string, TypeSettings>>;
  },
): Promise<ClaimedJob[]> {
  const { workerId, jobTypes, limit, settings = {} } = worker;
  const rows = await tx.query<ClaimedJobRow>(CLAIM, [jobTypes, limit, workerId, JSON.stringify(settings)]);
  return rows.map((row) => toClaimedJob({ ...row, ...forHandler(row) }));
}

/** Handlers calculate: a number of more digits than a double, which SQL alone can have written, is the nearest to them. */
function forHandler({ input, checkpoint }: ClaimedJobRow): Pick<ClaimedJobRow, "input" | "checkpoint"> {
  return { input: withDoubles(input) as ClaimedJobRow["input"], checkpoint: withDoubles(checkpoint) };
}

// One bounded index scan per type, then merged: a scan over all types would have to sort the whole backlog. The CTE
// fixes the ids before the update, which may otherwise take more than the limit when the planner rescans.
const CLAIM = `/* queue.claim */
with next as materialized (
  select candidate.tenant_id, candidate.id
  from unnest($1::text[]) as handled (job_type)
  cross join lateral (
    select tenant_id, id, priority, run_at from jobs
    where job_type = handled.job_type and status = 'queued' and due
    order by priority desc, run_at, id
    limit $2
    for update skip locked
  ) candidate
  order by candidate.priority desc, candidate.run_at, candidate.id
  limit $2
), claimed as (
  update jobs set
    status = 'running', worker_id = $3, attempt = attempt + 1,
    max_attempts = case
      when attempt = 0 and max_attempts_by_type
        then coalesce(($4::jsonb -> job_type ->> 'maxAttempts')::int, max_attempts)
      else max_attempts
    end,
    attempt_timeout_ms = coalesce(timeout_ms, ($4::jsonb -> job_type ->> 'timeoutMs')::int),
    started_at = date_trunc('milliseconds', clock_timestamp())
  from next
  where jobs.tenant_id = next.tenant_id and jobs.id = next.id
  returning jobs.*
)
select * from claimed order by priority desc, run_at, id`;
