/** Runs one statement with `$1` parameters in an open transaction. */
type Query = <Row>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Which positions the log still has, in a database that has failed over or been restored. */
export interface Adopted {
  /** Every event at or below this position is still in the log. */
  keptPosition: bigint;
  /** No position that was ever given lies beyond this one; every later one does. */
  nextPosition: bigint;
}

/** By how much positions are moved: far more transactions than a failover loses, or than a server runs during a restore. */
const GAP = 1n << 40n;
/** At most so many transactions are looked at one by one: more than a server runs in a minute at 10,000 a second. */
const SEARCH = 1_000_000;

/**
 * Takes notice when the database is not the one that it was: a replica that was promoted, or a backup restored to a point in
 * time (another timeline), or a dump restored elsewhere (another system identifier, or database). Its last transactions may be
 * lost, and its transaction ids start lower, so that all later positions are moved past every one ever given, and where the
 * old ones end is kept. Several processes may do so at once.
 * @param beyond a position that was given, which the log has not reached; null: no evidence but the database's identity.
 * @returns null when the database is the one that it was.
 */
export async function adopt(query: Query, beyond: bigint | null): Promise<Adopted | null> {
  const [found] = await query<{ changed: boolean }>(IDENTIFY, [beyond]);
  if (found?.changed !== true) return null;
  // Transactions that write jobs with the old offset end before this lock is given; those that wait for it read the new one.
  await query(LOCK);
  const [row] = await query<{ kept: string; next: string }>(ADOPT, [beyond, GAP, SEARCH]);
  if (row === undefined) return null;
  return { keptPosition: BigInt(row.kept), nextPosition: BigInt(row.next) };
}

const LOCK = "/* database.adopt_lock */ lock table jobs in share row exclusive mode";

/*
 * A position beyond this transaction's own was given by a log that has lost it since. The database's own id changes with
 * a dump that is restored beside the old database, in the same server.
 */
const CHANGE = `
  control.system_identifier <> i.system_identifier or pg_database.oid::bigint <> i.database_oid as moved,
  current_timeline() <> i.timeline as branched,
  coalesce($1::bigint >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + i.position_offset, false) as ahead`;

const SOURCES = `
  from installation i cross join pg_control_system() control join pg_database on datname = current_database()`;

const IDENTIFY = `/* database.identify */
select moved or branched or ahead as changed from (select ${CHANGE} ${SOURCES}) found`;

/*
 * Up to which position is every event there? Surely up to complete_below, which is written each second: no transaction below it
 * was open then, and it is in the database itself. Between it and the last event, every transaction must have committed, since
 * an uncommitted one may be one whose commit was lost; pg_xact_status tells. Where the database has gone back without a new
 * timeline (a snapshot of a disk), nothing is known: it gives the same transaction ids a second time.
 */
const ADOPT = `/* database.adopt */
with found as materialized (
  select i.*, ${CHANGE},
    control.system_identifier as present_system, current_timeline() as present_timeline, pg_database.oid::bigint as present_database,
    coalesce((select max(position) from job_events), 0) as last_position
  ${SOURCES}
), searched as (
  select *, greatest(complete_below, position_offset + 1) as search_from from found where moved or branched or ahead
), kept as (
  select *, case
    when ahead and not (moved or branched) then -1
    when complete_below > last_position then complete_below - 1
    when moved then case complete_below when 0 then last_position else complete_below - 1 end
    when last_position - search_from > $3::bigint then complete_below - 1
    else coalesce((
      select min(candidate) - 1 from generate_series(search_from, last_position) candidate
      where pg_xact_status((candidate - position_offset)::text::xid8) in ('aborted', 'in progress')
    ), last_position)
  end as kept_position
  from searched
), next as (
  select *, greatest(pruned_position, last_position, complete_below, position_offset, kept_position, $1::bigint) + $2::bigint
    as next_position from kept
), moved_on as (
  update installation set
    position_offset = next_position, complete_below = next_position + 1,
    system_identifier = present_system, timeline = present_timeline, database_oid = present_database
  from next
  returning next_position, kept_position
)
insert into lost_positions (next_position, kept_position) select next_position, kept_position from moved_on
returning next_position as next, kept_position as kept`;
