import { Migration } from "@mikro-orm/migrations";

/*
 * After a crash PostgreSQL gives transaction ids anew that it gave shortly before: those of transactions that were rolled
 * back or wrote nothing durable. A cursor at the watermark could lie beyond them, and events of their new owners before it.
 * Ids up to that of an event that was seen are never given again: the place just after the last one is safe to resume from.
 * It looks below the watermark alone, since a long insert under way has many entries above it that nobody can see yet.
 * Every tenant's events count, so it acts as the feed, for whoever calls it; what it tells is a number that each cursor holds.
 */
const EVENT_HEAD = `
create function event_head(watermark bigint) returns bigint
language sql stable security definer set search_path from current as $$
  select greatest((select max(position) from job_events where position < watermark), pruned_position) + 1
  from installation
$$;

do $$
declare
  feed constant text := left('atlas_feed_' || current_user, 63);
begin
  -- An owner may create in the schema; it need not be able to for longer.
  execute format('grant create on schema %I to %I', current_schema(), feed);
  execute format('alter function event_head(bigint) owner to %I', feed);
  execute format('revoke create on schema %I from %I', current_schema(), feed);
end
$$;
`;

/** The place that cursors are given at. */
export class EventHeadMigration extends Migration {
  override name = "0002-event-head";

  override up(): void {
    this.addSql(EVENT_HEAD);
  }
}
