import { withDoubles } from "../bounds/exact-json.js";
import type { Transaction } from "../database/database.js";
import { type ClaimedJob, type ClaimedJobRow, toClaimedJob } from "./job.js";

/** What a job type's module names for jobs whose creator named nothing; null: the default. */
export interface TypeSettings {
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
}

export interface ClaimRequest {
  workerId: string;
  jobTypes: readonly string[];
  /** The worker's free slots. */
  limit: number;
  /** By job type; a type that is missing names nothing. */
  settings?: Readonly<Record<string, TypeSettings>>;
  /** Where the tenants' turns stand, as the worker's last claim returned it; null, or left out: before the first tenant. */
  lastTenantId?: string | null;
  /** How many jobs of each tenant the worker runs already; a tenant that is missing has none. */
  running?: Readonly<Record<string, number>>;
  /** A tenant of which the worker runs so many gets a further slot only if no other tenant can use it. Left out: there is no such number. */
  tenantShare?: number;
}

export interface Claimed {
  /** In the order in which they are to start. */
  jobs: ClaimedJob[];
  /** For the worker's next claim. */
  lastTenantId: string | null;
}

/** What each row of the statement tells of the claim; where no job was found, there is one row without a job. */
interface About {
  /** The job's tenant may have more that is due: it had as many as it was given slots. null: there is no job. */
  filled: boolean | null;
  /** The last tenant that was asked for jobs; null: no tenant has one that is due. */
  last_asked: string | null;
  /** Not all tenants were asked. */
  cut: boolean;
  /** A tenant may have got fewer slots because of the share. */
  withheld: boolean;
}
type Found = About & (ClaimedJobRow | { id: null });

/** Each is one statement. Most claims are one; where other workers are taking what it looks at, the next goes on behind it. */
const MAX_PASSES = 10;
const NO_SHARE = 2 ** 31 - 1;

/**
 * Takes up to `limit` due jobs of the given types for a worker. Tenants take turns, from the one after the last that was served: one
 * job each, round after round until the slots are full. Inside a tenant the highest priority comes first, then the oldest `runAt`.
 * Jobs that another worker is taking at this moment, or that are locked otherwise, are skipped, not waited for. A job's attempts
 * are its type's from its first claim on, its timeout from each.
 */
export async function claim(tx: Transaction, request: ClaimRequest): Promise<Claimed> {
  const { workerId, jobTypes, limit, settings = {} } = request;
  let { lastTenantId = null, tenantShare = NO_SHARE } = request;
  const running = { ...request.running };
  const jobs: ClaimedJob[] = [];
  for (let pass = 0; pass < MAX_PASSES && jobs.length < limit; pass += 1) {
    const rows = await tx.query<Found>(CLAIM, [
      jobTypes,
      limit - jobs.length,
      workerId,
      JSON.stringify(settings),
      lastTenantId,
      JSON.stringify(running),
      tenantShare,
    ]);
    const found = rows
      .filter((row): row is About & ClaimedJobRow => row.id !== null)
      .map((row) => toClaimedJob({ ...row, ...forHandler(row) }));
    for (const { tenantId } of found) running[tenantId] = (running[tenantId] ?? 0) + 1;
    jobs.push(...found);
    lastTenantId = found.at(-1)?.tenantId ?? rows[0]?.last_asked ?? lastTenantId;
    const { cut = false, withheld = false } = rows[0] ?? {};
    if (cut || rows.some(({ filled }) => filled === true)) continue;
    // Nobody else can use what is left.
    if (!withheld || tenantShare === NO_SHARE) break;
    tenantShare = NO_SHARE;
  }
  return { jobs, lastTenantId };
}

/** Handlers calculate: a number of more digits than a double, which SQL alone can have written, is the nearest to them. */
function forHandler({ input, checkpoint }: ClaimedJobRow): Pick<ClaimedJobRow, "input" | "checkpoint"> {
  return { input: withDoubles(input) as ClaimedJobRow["input"], checkpoint: withDoubles(checkpoint) };
}

// walk: the tenants that have something due, one index probe a type for each (3 buffers); it goes on at the first one (null) after
// the last, and ends where it began, or at as many tenants as there are slots. Two are looked for at least: to know who is alone.
// Its second lap reads no further than the first began: entries of jobs that are gone would be read twice.
// quotas: the slots, in equal parts, the first tenants one more; and where another waits, no more than the share.
// next: fixes the ids before the update, which may otherwise take more than the limit when the planner rescans. The quotas add up to
// the slots: its own limit says so to the planner, which else takes it for thousands and reads all jobs to join them. A scan over all types
// of a tenant at once would have to sort its whole backlog.
const CLAIM = `/* queue.claim */
with recursive walk (tenant_id, lap, waiting, served) as (
  select $5::uuid, 1, 0, 0
  union all
  select ahead.tenant_id,
    walk.lap + (ahead.tenant_id is null)::int,
    walk.waiting + (ahead.tenant_id is not null)::int,
    walk.served + (ahead.tenant_id is not null and coalesce(($6::jsonb ->> ahead.tenant_id::text)::int, 0) < $7::int)::int
  from walk
  left join lateral (
    select head.tenant_id
    from unnest($1::text[]) as handled (job_type)
    cross join lateral (
      (
        select tenant_id from jobs
        where job_type = handled.job_type and status = 'queued' and due and tenant_id > walk.tenant_id
          and tenant_id <= case walk.lap when 1 then 'ffffffff-ffff-ffff-ffff-ffffffffffff' else $5::uuid end
        order by tenant_id limit 1
      )
      union all
      (
        select tenant_id from jobs
        where job_type = handled.job_type and status = 'queued' and due and walk.tenant_id is null
        order by tenant_id limit 1
      )
    ) head
    where walk.lap = 1 or head.tenant_id <= $5::uuid
    order by head.tenant_id limit 1
  ) ahead on true
  where walk.lap < 3 and (walk.served < $2::int or walk.waiting < 2)
), waiting as (
  select tenant_id, waiting as place,
    case when count(*) over () = 1 then $2::int
      else $7::int - coalesce(($6::jsonb ->> tenant_id::text)::int, 0) end as room
  from walk where tenant_id is not null and waiting > 0
), turns as (
  select tenant_id, room, row_number() over (order by place) as turn, least(count(*) over (), $2::int) as tenants
  from waiting where room > 0
), quotas as materialized (
  select tenant_id, turn, least($2::int / tenants + (turn <= $2::int % tenants)::int, room) as quota
  from turns where turn <= $2::int
), next as materialized (
  select quotas.tenant_id, picked.id, quotas.turn, quotas.quota, picked.round
  from quotas
  cross join lateral (
    select candidate.id,
      row_number() over (order by candidate.priority desc, candidate.run_at, candidate.id) as round
    from unnest($1::text[]) as handled (job_type)
    cross join lateral (
      select id, priority, run_at from jobs
      where job_type = handled.job_type and tenant_id = quotas.tenant_id and status = 'queued' and due
      order by priority desc, run_at, id
      limit quotas.quota
      for update skip locked
    ) candidate
    order by round
    limit quotas.quota
  ) picked
  limit $2::int
), claimed as (
  update jobs set
    status = 'running', worker_id = $3, attempt = attempt + 1,
    max_attempts = case
      when attempt = 0 and max_attempts_by_type
        then coalesce(($4::jsonb -> job_type ->> 'maxAttempts')::int, max_attempts)
      else max_attempts
    end,
    attempt_timeout_ms = coalesce(timeout_ms, ($4::jsonb -> job_type ->> 'timeoutMs')::int),
    started_at = date_trunc('milliseconds', clock_timestamp())
  from next
  where jobs.tenant_id = next.tenant_id and jobs.id = next.id
  returning jobs.*, next.turn, next.quota, next.round
)
select claimed.*, count(*) over (partition by claimed.tenant_id) >= claimed.quota as filled, about.*
from (
  select
    coalesce(
      (select tenant_id from quotas order by turn desc limit 1), (select tenant_id from waiting order by place desc limit 1)
    ) as last_asked,
    not exists (select from walk where lap = 3) as cut,
    exists (select from waiting where room < $2::int) as withheld
) about
left join claimed on true
order by claimed.round, claimed.turn`;
