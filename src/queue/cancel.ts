import type { Transaction } from "../database/database.js";
import { type Job, type JobRow, toJob } from "./job.js";

/**
 * Cancels a queued job; asks the worker of a running one to stop it, whose handler's signal fires. Asking twice changes
 * nothing.
 * @returns null when there is no such job that is queued or running.
 */
export async function cancel(tx: Transaction, tenantId: string, id: string): Promise<Job | null> {
  const [row] = await tx.query<JobRow>(CANCEL, [tenantId, id]);
  return row === undefined ? null : toJob(row);
}

const CANCEL = `/* queue.cancel */
update jobs set
  status = case status when 'queued' then 'canceled' else status end,
  cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
  updated_at = case when cancel_requested_at is null then clock_timestamp() else updated_at end
where tenant_id = $1 and id = $2 and status in ('queued', 'running')
returning *`;
