import { Migration } from "@mikro-orm/migrations";

/*
 * A replica that is promoted, and a backup that is restored to a point in time, keep the system identifier, but begin a new
 * timeline, and have not got the last transactions: cursors may be ahead of their log. The timeline is told by the name of
 * the write-ahead log's file, which costs a microsecond; the control file, which has it too, is read from the disk.
 */
const IDENTITY = `
create function current_timeline() returns integer language sql stable as $$
  select case when pg_is_in_recovery() then null
    else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end
$$;

alter table installation
  add column timeline integer,
  add column database_oid bigint,
  add column complete_below bigint not null default 0;
update installation set timeline = current_timeline(),
  database_oid = (select oid::bigint from pg_database where datname = current_database());
alter table installation alter column timeline set not null, alter column database_oid set not null;

create table lost_positions (
  next_position bigint primary key,
  kept_position bigint not null,
  found_at timestamptz(3) not null default now(),
  constraint lost_positions_order_check check (kept_position < next_position)
);
`;

/*
 * Until the positions have been moved past those of the lost transactions, nothing may take one, also nobody in psql: it
 * would lie among those that cursors have passed.
 */
const POSITION = `
create function refuse_position() returns bigint language plpgsql stable as $$
begin
  raise exception 'the database has failed over, and the service has not taken notice of it yet'
    using errcode = 'cannot_connect_now', hint = 'try again in a second, or run a command of the service''s command line';
end
$$;

create or replace function current_position() returns bigint language sql stable as $$
  select case when timeline = current_timeline() then pg_current_xact_id()::text::bigint + position_offset
    else refuse_position() end
  from installation
$$;
`;

const GRANTS = `
do $$
declare
  api constant text := left('atlas_api_' || current_user, 63);
  feed constant text := left('atlas_feed_' || current_user, 63);
  worker constant text := left('atlas_worker_' || current_user, 63);
begin
  execute format('grant select (timeline) on installation to %I', api);
  execute format('grant select on lost_positions to %I, %I', api, feed);
  execute format('grant select, insert, delete on lost_positions to %I', worker);
end
$$;
`;

/** What tells that the log has lost its end, and which positions were in it. */
export class LostPositionsMigration extends Migration {
  override name = "0004-lost-positions";

  override up(): void {
    this.addSql(IDENTITY);
    this.addSql(POSITION);
    this.addSql(GRANTS);
  }
}
