import type { Transaction } from "../database/database.js";
import { type JobEvent, type JobEventRow, toJobEvent } from "../queue/job-event.js";
import { type Position, reachOf } from "./position.js";

/**
 * Reads events after a place, in order, up to the transaction's watermark: no event can still appear between those returned.
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

/**
 * Why reading cannot go on from a place: retention has removed events after it (`pruned`), or a failover has lost events before
 * it (`lost`), so also a position that the log has not reached yet. null: it can.
 */
export async function readGap(tx: Transaction, place: Position): Promise<"pruned" | "lost" | null> {
  const reach = reachOf(place);
  tx.requireReached(reach);
  const [row] = await tx.query<{ pruned: boolean; lost: boolean }>(GAP, [place.position.toString(), reach.toString()]);
  return row?.lost === true ? "lost" : row?.pruned === true ? "pruned" : null;
}

const GAP = `/* feed.gap */
select pruned_position >= $1::bigint as pruned,
  exists (select from lost_positions where kept_position < $2::bigint and next_position > $2::bigint) as lost
from installation`;
