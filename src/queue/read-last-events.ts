import type { Transaction } from "../database/database.js";
import { type JobEvent, type JobEventRow, toJobEvent } from "./job-event.js";

/** Each job's last event, in any order: also of a job that is deleted, none of a job that the tenant never had. */
export async function readLastEvents(
  tx: Transaction,
  tenantId: string,
  jobIds: readonly string[],
): Promise<JobEvent[]> {
  return (await tx.query<JobEventRow>(READ, [tenantId, jobIds])).map(toJobEvent);
}

const READ = `/* queue.read_last_events */
select event.*
from unnest($2::uuid[]) as job (id)
cross join lateral (
  select * from job_events where tenant_id = $1 and job_id = job.id order by version desc limit 1
) event`;
