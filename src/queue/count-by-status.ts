import type { Transaction } from "../database/database.js";
import type { JobStatus } from "../words.js";

/** How many jobs there are of each status, all tenants together. */
export async function countByStatus(tx: Transaction): Promise<{ status: JobStatus; count: number }[]> {
  return tx.query(COUNT_BY_STATUS);
}

const COUNT_BY_STATUS = `/* queue.count_by_status */
select status, sum(delta)::int as count from job_counts group by status`;
