import { Migration } from "@mikro-orm/migrations";

/*
 * What reads the log's end must not read all of it by a plan that was made while the table was empty, so sequential scans are
 * off within the function. But `installation` could be read in no other way: PostgreSQL 14 to 17 then count 10¹⁰ for the
 * plan, which made it costly enough to be compiled, for 160–260 ms in each transaction. By its key it has an index to use.
 */
const EVENT_HEAD = `
create or replace function event_head(watermark bigint) returns bigint
language plpgsql stable security definer set search_path from current
set enable_seqscan to off set enable_bitmapscan to off as $$
declare
  head bigint;
begin
  perform set_config('atlas.event_head', 'on', true);
  select greatest((select max(position) from job_events where position < watermark), pruned_position) + 1
    into head from installation where only_row;
  perform set_config('atlas.event_head', '', true);
  return head;
end
$$;
`;

/** Has `event_head` find its one row of settings by an index, too. */
export class EventHeadWithoutSequentialScansMigration extends Migration {
  override name = "0005-event-head-without-sequential-scans";

  override up(): void {
    this.addSql(EVENT_HEAD);
  }
}
