import type { Transaction } from "../database/database.js";
import { type Job, type JobRow, toJob } from "./job.js";

/**
 * Queues a failed or canceled job again, at once and for at least one more attempt. Its checkpoint stays, so that it
 * resumes; its error stays until it completes.
 * @returns null when there is no such job that is failed or canceled.
 */
export async function retry(tx: Transaction, tenantId: string, id: string): Promise<Job | null> {
  const [row] = await tx.query<JobRow>(RETRY, [tenantId, id]);
  return row === undefined ? null : toJob(row);
}

const RETRY = `/* queue.retry */
update jobs set
  status = 'queued', output = null, cancel_requested_at = null,
  max_attempts = greatest(max_attempts, attempt + 1),
  run_at = clock_timestamp()
where tenant_id = $1 and id = $2 and status in ('failed', 'canceled')
returning *`;
