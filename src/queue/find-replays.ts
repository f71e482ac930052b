import type { Transaction } from "../database/database.js";
import type { NewJob } from "./enqueue.js";

/** A job that a create with the same idempotency key has made before. */
export interface Replay {
  id: string;
  /** Whether that create had the same job type, priority and input. */
  same: boolean;
}

/** The tenant's jobs that creates with these idempotency keys have made before, by key. */
export async function findReplays(
  tx: Transaction,
  tenantId: string,
  jobs: readonly NewJob[],
): Promise<Map<string, Replay>> {
  const keyed = jobs.filter(({ idempotencyKey }) => idempotencyKey !== null);
  if (keyed.length === 0) return new Map();
  const rows = await tx.query<Replay & { key: string }>(FIND, [tenantId, JSON.stringify(keyed)]);
  return new Map(rows.map(({ key, id, same }) => [key, { id, same }]));
}

const FIND = `/* queue.find_replays */
select jobs.id, given."idempotencyKey" as key,
  jobs.job_type = given."jobType" and jobs.priority = given.priority and jobs.input = given.input as same
from jsonb_to_recordset($2::jsonb) as given ("idempotencyKey" text, "jobType" text, priority int, input jsonb)
join jobs on jobs.tenant_id = $1 and jobs.idempotency_key = given."idempotencyKey"`;
