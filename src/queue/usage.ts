import type { Transaction } from "../database/database.js";

/** How many jobs a member has created today (UTC), and when the next day begins. */
export interface Usage {
  used: number;
  resetsAt: Date;
  retryAfterSeconds: number;
}

/** These members, in the same order, each with what they have used of today. */
export async function readUsages<Member extends { userId: string }>(
  tx: Transaction,
  tenantId: string,
  members: readonly Member[],
): Promise<{ member: Member; usage: Usage }[]> {
  const ids = members.map(({ userId }) => userId);
  const rows = await tx.query<{ used: number; resets_at: string; seconds: number }>(USAGES, [tenantId, ids]);
  return rows.map(({ used, resets_at: resetsAt, seconds }, index) => ({
    member: members[index] as Member,
    usage: { used, resetsAt: new Date(resetsAt), retryAfterSeconds: seconds },
  }));
}

/** What one member has used of today. */
export async function readUsage(tx: Transaction, member: { tenantId: string; userId: string }): Promise<Usage> {
  const [found] = await readUsages(tx, member.tenantId, [member]);
  if (found === undefined) throw new Error("a query that gives a row for each member gave none");
  return found.usage;
}

const USAGES = `/* queue.usage */
with today as (
  select (now() at time zone 'utc')::date as day, (date_trunc('day', now() at time zone 'utc') + interval '1 day') at time zone 'utc' as resets_at
)
select coalesce(u.used, 0) as used, resets_at, greatest(ceil(extract(epoch from resets_at - now())), 1)::int as seconds
from today
cross join unnest($2::uuid[]) with ordinality as member (user_id, number)
left join daily_usage u on u.tenant_id = $1 and u.user_id = member.user_id and u.day = today.day
order by number`;
