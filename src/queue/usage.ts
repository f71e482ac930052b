import type { Transaction } from "../database/database.js";

/** How many jobs a member has created today (UTC), and when the next day begins. */
export interface Usage {
  used: number;
  resetsAt: Date;
  retryAfterSeconds: number;
}

export async function readUsage(tx: Transaction, member: { tenantId: string; userId: string }): Promise<Usage> {
  const [row] = await tx.query<{ used: number; resets_at: string; seconds: number }>(USAGE, [
    member.tenantId,
    member.userId,
  ]);
  if (row === undefined) throw new Error("a query without a table gave no row");
  return { used: row.used, resetsAt: new Date(row.resets_at), retryAfterSeconds: row.seconds };
}

const USAGE = `/* queue.usage */
with today as (
  select (now() at time zone 'utc')::date as day, (date_trunc('day', now() at time zone 'utc') + interval '1 day') at time zone 'utc' as resets_at
)
select
  coalesce((select used from daily_usage u where u.tenant_id = $1 and u.user_id = $2 and u.day = today.day), 0) as used,
  resets_at,
  greatest(ceil(extract(epoch from resets_at - now())), 1)::int as seconds
from today`;
