import type { Transaction } from "../database/database.js";

/**
 * Writes down how far the log is complete: no transaction is open any more that could put an event before that position.
 * Whatever copy of the database has this note has all events before it, too: after a failover, cursors up to there go on.
 */
export async function markComplete(tx: Transaction): Promise<void> {
  await tx.query(MARK, [tx.watermark.toString()]);
}

// Nothing is written where nothing has happened.
const MARK = `/* queue.mark_complete */
update installation set complete_below = $1::bigint
where complete_below <= (select max(position) from job_events where position < $1::bigint)`;
