import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";

/** Names one attempt of a job in the hands of one worker: the fence of every transition out of `running`. */
export interface HeldJob {
  tenantId: string;
  id: string;
  workerId: string;
  attempt: number;
}

/**
 * A statement that changes held jobs, given as one JSON list. It locks each job only while that worker holds that attempt:
 * no row means that the worker has lost it. PostgreSQL takes a JSON list for 100 rows, and so looks each up by its key.
 */
export interface HeldStatement {
  /** Waits for jobs that others have locked. */
  waiting: string;
  /** Passes them by. */
  passing: string;
}

/**
 * @param name as it stands in the log of PostgreSQL.
 * @param columns those that the list has beside the held job's own: `output jsonb`.
 * @param changes what it sets; the list's rows are called `held`.
 */
export function heldStatement(name: string, columns: string, changes: string): HeldStatement {
  const statement = (lock: string): string => `/* ${name} */
with held as materialized (
  select given.* from jsonb_to_recordset($1::jsonb) as given (
    "tenantId" uuid, id uuid, "workerId" uuid, attempt int${columns === "" ? "" : `, ${columns}`}
  )
  join jobs on ${FENCE}
  for update of jobs ${lock}
)
update jobs set ${changes.trim()}
from held where jobs.tenant_id = held."tenantId" and jobs.id = held.id
returning jobs.tenant_id as "tenantId", jobs.id, jobs.attempt, jobs.status`;
  return { waiting: statement(""), passing: statement("skip locked") };
}

const FENCE = `jobs.tenant_id = given."tenantId" and jobs.id = given.id and jobs.status = 'running'
  and jobs.worker_id = given."workerId" and jobs.attempt = given.attempt`;

/**
 * Runs a statement on held jobs.
 * @param locked what happens to jobs that others have locked: they are waited for, or passed by as if they were lost.
 * @returns in the order of `jobs` the statuses reached; null where the worker has lost the job, and nothing changed.
 */
export async function changeHeld(
  tx: Transaction,
  statement: HeldStatement,
  jobs: readonly HeldJob[],
  locked: keyof HeldStatement = "waiting",
): Promise<(JobStatus | null)[]> {
  if (jobs.length === 0) return [];
  const rows = await tx.query<Pick<HeldJob, "tenantId" | "id" | "attempt"> & { status: JobStatus }>(statement[locked], [
    JSON.stringify(jobs),
  ]);
  const reached = new Map(rows.map((row) => [keyOf(row), row.status]));
  return jobs.map((job) => reached.get(keyOf(job)) ?? null);
}

/** Two attempts of one job may end together: one that was lost, and the one after it. */
function keyOf({ tenantId, id, attempt }: Pick<HeldJob, "tenantId" | "id" | "attempt">): string {
  return `${tenantId}:${id}:${attempt}`;
}
