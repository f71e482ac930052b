import { Migration } from "@mikro-orm/migrations";

/*
 * The function's owner was the feed's role: a dump restored by a login that is no superuser could not give it away, and
 * would run it as the login, which row-level security shows no event. It stays the login's own now, and a policy lets the
 * login see events within the function alone, which sets what the policy asks for. Whoever logs in as the owner could
 * switch the policies off as well.
 */
const EVENT_HEAD = `
do $$
declare
  login constant text := current_user;
begin
  -- Where a dump was restored it may be the login's already.
  if (select pg_get_userbyid(proowner) <> login from pg_proc where oid = 'event_head(bigint)'::regprocedure) then
    execute format('set local role %I', left('atlas_feed_' || login, 63));
  end if;
  drop function event_head(bigint);
  reset role;
  execute format(
    'create policy head on job_events for select to %I using (
      case when current_user = %L then current_setting(''atlas.event_head'', true) end = ''on'')',
    login, login);
end
$$;

create function event_head(watermark bigint) returns bigint
language plpgsql stable security definer set search_path from current
-- A plan made while the table was empty is kept, and would read the whole of it ever after: half of the inserts a second.
set enable_seqscan to off set enable_bitmapscan to off as $$
declare
  head bigint;
begin
  perform set_config('atlas.event_head', 'on', true);
  select greatest((select max(position) from job_events where position < watermark), pruned_position) + 1
    into head from installation;
  perform set_config('atlas.event_head', '', true);
  return head;
end
$$;
`;

/** Leaves `event_head` with the login that makes it. */
export class EventHeadOfTheLoginMigration extends Migration {
  override name = "0003-event-head-of-the-login";

  override up(): void {
    this.addSql(EVENT_HEAD);
  }
}
