import type { Transaction } from "../database/database.js";
import { type JobEvent, type JobEventRow, toJobEvent } from "../queue/job-event.js";
import type { Position } from "./position.js";

/**
 * Reads events after a place, in order, as far as the transaction's watermark: what is returned is final, and what
 * comes later comes after it.
 * @param tenantId null: every tenant's.
 */
export async function readEvents(
  tx: Transaction,
  { after, tenantId, limit }: { after: Position; tenantId: string | null; limit: number },
): Promise<JobEvent[]> {
  const bounds = [after.position.toString(), after.id.toString(), tx.watermark.toString(), limit];
  const rows =
    tenantId === null
      ? await tx.query<JobEventRow>(TAIL, bounds)
      : await tx.query<JobEventRow>(REPLAY, [...bounds, tenantId]);
  return rows.map(toJobEvent);
}

const TAIL = `/* feed.tail */
select * from job_events
where (position, id) > ($1::bigint, $2::bigint) and position < $3::bigint
order by position, id limit $4`;

const REPLAY = `/* feed.replay */
select * from job_events
where tenant_id = $5 and (position, id) > ($1::bigint, $2::bigint) and position < $3::bigint
order by position, id limit $4`;

/** The greatest position that retention has removed: a cursor at or before it can no longer be resumed. */
export async function readPrunedPosition(tx: Transaction): Promise<bigint> {
  const [row] = await tx.query<{ pruned_position: string }>(
    "/* feed.pruned */ select pruned_position from installation",
  );
  return BigInt(row?.pruned_position ?? 0);
}
