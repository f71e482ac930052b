import type { Transaction } from "../database/database.js";
import { type JobEvent, type JobEventRow, toJobEvent } from "./job-event.js";

/** A part of one job's events: the first between two versions, or the last. */
export interface HistoryPart {
  jobId: string;
  /** 0: from the first one kept. */
  afterVersion: number;
  /** null: to the last one. */
  beforeVersion: number | null;
  backward: boolean;
  limit: number;
}

/**
 * Reads parts of jobs' histories, oldest event first. Whatever is committed is there: a job's versions are written one
 * after the other under its row's lock, so that none can appear below one that is seen.
 * @returns the events of each part, in the order given.
 */
export async function readHistories(
  tx: Transaction,
  tenantId: string,
  parts: readonly HistoryPart[],
): Promise<JobEvent[][]> {
  const rows = await tx.query<JobEventRow & { part: number }>(READ_HISTORIES, [tenantId, JSON.stringify(parts)]);
  return grouped(rows, parts.length);
}

/** Of one part, from either end by the index. */
const BETWEEN = `select * from job_events
  where tenant_id = $1 and job_id = part."jobId" and version > part."afterVersion"
    and version < coalesce(part."beforeVersion", 2147483647)`;

const READ_HISTORIES = `/* queue.read_histories */
select event.*, part.ordinality::int as part
from rows from (
  jsonb_to_recordset($2::jsonb) as ("jobId" uuid, "afterVersion" int, "beforeVersion" int, backward boolean, "limit" int)
) with ordinality as part
cross join lateral (
  (${BETWEEN} and not part.backward order by version limit part."limit")
  union all
  (${BETWEEN} and part.backward order by version desc limit part."limit")
) event
order by part.ordinality, event.version`;

/**
 * Reads the events that began or ended attempts of jobs, oldest first, of each job the last `limit`.
 * @returns the events of each job, in the order given.
 */
export async function readAttemptEvents(
  tx: Transaction,
  tenantId: string,
  jobIds: readonly string[],
  limit: number,
): Promise<JobEvent[][]> {
  const rows = await tx.query<JobEventRow & { part: number }>(READ_ATTEMPT_EVENTS, [tenantId, jobIds, limit]);
  return grouped(rows, jobIds.length);
}

const READ_ATTEMPT_EVENTS = `/* queue.read_attempt_events */
select event.*, job.part::int as part
from unnest($2::uuid[]) with ordinality as job (id, part)
cross join lateral (
  select * from job_events
  where tenant_id = $1 and job_id = job.id and 'running' in (status, previous_status)
  order by version desc limit $3
) event
order by job.part, event.version`;

function grouped(rows: readonly (JobEventRow & { part: number })[], parts: number): JobEvent[][] {
  const groups = Array.from({ length: parts }, (): JobEvent[] => []);
  for (const row of rows) groups[row.part - 1]?.push(toJobEvent(row));
  return groups;
}
