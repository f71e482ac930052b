import type { Transaction } from "../database/database.js";

/**
 * Writes down up to which position the log is complete: no open transaction can add an event before it any more. A copy of
 * the database that has this note also has all events before the position: after a failover, cursors up to it stay valid.
 */
export async function markComplete(tx: Transaction): Promise<void> {
  await tx.query(MARK, [tx.watermark.toString()]);
}

// While there are no new events, nothing is written.
const MARK = `/* queue.mark_complete */
update installation set complete_below = $1::bigint
where complete_below <= (select max(position) from job_events where position < $1::bigint)`;
