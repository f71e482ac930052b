import type { Database } from "./database.js";

/**
 * Makes the roles that the service acts in where they are missing, and the login a member of them, as the first migration does. They
 * are the cluster's: a dump of the database has the policies and grants that name them, not the roles. Changes nothing in the database.
 * @returns their names.
 */
export async function makeActingRoles(database: Database): Promise<string[]> {
  await database.queryAsLogin(MAKE);
  return (["api", "feed", "worker"] as const).map((part) => database.roleName(part));
}

const MAKE = `/* database.make_acting_roles */
do $$
declare
  login constant text := current_user;
  acting text;
begin
  foreach acting in array array[
    left('atlas_api_' || login, 63), left('atlas_feed_' || login, 63), left('atlas_worker_' || login, 63)
  ] loop
    begin
      execute format('create role %I nologin nosuperuser nobypassrls', acting);
    exception when duplicate_object or unique_violation then null;
    end;
    if current_setting('server_version_num')::int >= 160000 then
      execute format('grant %I to %I with inherit false, set true', acting, login);
    else
      execute format('grant %I to %I', acting, login);
    end if;
  end loop;
end
$$`;
