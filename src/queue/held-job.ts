import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";

/** Names one attempt of a job in the hands of one worker: the fence of every transition out of `running`. */
export interface HeldJob {
  tenantId: string;
  id: string;
  workerId: string;
  attempt: number;
}

/** The columns of held jobs that a statement is given as one JSON list, `held`. PostgreSQL takes it for 100 rows, and so looks each up by its key. */
export const HELD = `"tenantId" uuid, id uuid, "workerId" uuid, attempt int`;

/** Matches each job only while that worker holds that attempt: no row means that the worker has lost it. */
export const FENCE = `jobs.tenant_id = held."tenantId" and jobs.id = held.id and jobs.status = 'running'
  and jobs.worker_id = held."workerId" and jobs.attempt = held.attempt`;

/**
 * Runs a fenced statement that takes held jobs as one JSON list and returns id, attempt and status of those that it has changed.
 * @returns in the order of `jobs` the statuses reached; null where the worker has lost the job, and nothing changed.
 */
export async function endHeld(tx: Transaction, sql: string, jobs: readonly HeldJob[]): Promise<(JobStatus | null)[]> {
  if (jobs.length === 0) return [];
  const rows = await tx.query<{ id: string; attempt: number; status: JobStatus }>(sql, [JSON.stringify(jobs)]);
  const reached = new Map(rows.map((row) => [keyOf(row), row.status]));
  return jobs.map((job) => reached.get(keyOf(job)) ?? null);
}

/** Two attempts of one job may end together: one that was lost, and the one after it. */
function keyOf({ id, attempt }: { id: string; attempt: number }): string {
  return `${id}:${attempt}`;
}
