import { ConfigError } from "../config.js";
import type { Database } from "./database.js";
import { entities } from "./entities/entities.js";
import { TenantEntity } from "./entities/tenant.entity.js";

/** The tables that hold tenants' rows, and the column of each that says whose. */
export const TENANT_TABLES: Readonly<Record<string, "id" | "tenant_id">> = {
  [TenantEntity.meta.tableName]: "id",
  ...Object.fromEntries(
    entities.flatMap(({ meta }) => ("tenantId" in meta.properties ? [[meta.tableName, "tenant_id"] as const] : [])),
  ),
};

const ROLES = ["api", "feed", "worker"] as const;

/**
 * Looks in the catalog whether row-level security holds the roles that the service acts in, as the migrations made it.
 * Call after them, before anything is served.
 * @returns a warning when the login itself could pass it, which the service's own statements never do; null otherwise.
 * @throws {ConfigError} naming every way past it, and the SQL that closes it.
 */
export async function checkRowLevelSecurity(database: Database): Promise<string | null> {
  const found = await database.queryAsLogin<{ about: "login" | "service"; fault: string; mend: string }>(CHECK, [
    ROLES,
    ROLES.map((role) => database.roleName(role)),
    Object.keys(TENANT_TABLES),
    Object.values(TENANT_TABLES),
  ]);
  const [login] = found.filter(({ about }) => about === "login");
  const faults = found.filter(({ about }) => about === "service");
  if (faults.length > 0) {
    const lines = faults.map(({ fault, mend }) => `  - ${fault}: ${mend}`);
    throw new ConfigError(`Cannot start; row-level security would not keep the tenants apart:\n${lines.join("\n")}`);
  }
  return login === undefined ? null : `${login.fault}: ${login.mend}`;
}

/*
 * Attributes such as BYPASSRLS are not inherited, but by SET ROLE the login can take any role that it, or an acting role, is a
 * member of. CREATEROLE could make itself a member of the owner (before PostgreSQL 16), REPLICATION reads the write-ahead log.
 * Forced policies hold an owner, too, but an owner can drop them. The conditions are written as PostgreSQL 14 to 18 print them.
 */
const CHECK = `/* database.check_row_level_security */
with acting as (
  select part, name, oid from unnest($1::text[], $2::text[]) as acting (part, name) left join pg_roles on rolname = name
),
tenant_table as (
  select named.name, tenant_column, oid, relowner, relrowsecurity, relforcerowsecurity
  from unnest($3::text[], $4::text[]) as named (name, tenant_column) left join pg_class on oid = to_regclass(format('%I', name))
),
power as (
  select oid, rolname, name from pg_roles cross join lateral (
    values ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEROLE', rolcreaterole), ('REPLICATION', rolreplication)
  ) attribute (name, held)
  where held
),
passing as (
  select oid, rolname, 'has ' || name as how from power
  union all select relowner, pg_get_userbyid(relowner), format('owns %I', name) from tenant_table where relowner is not null
),
policy (part, command, template) as (
  values
    ('api', 'all', '(%I = CASE WHEN (CURRENT_USER = %L::name) THEN (NULLIF(current_setting(''atlas.tenant_id''::text, true), ''''::text))::uuid ELSE NULL::uuid END)'),
    ('feed', 'select', '( CASE WHEN (CURRENT_USER = %2$L::name) THEN true ELSE NULL::boolean END IS NOT NULL)'),
    ('worker', 'all', '( CASE WHEN (CURRENT_USER = %2$L::name) THEN true ELSE NULL::boolean END IS NOT NULL)')
),
expected as (
  select part, command, acting.name as role, acting.oid as role_oid, tenant_table.name as on_table, tenant_table.oid as relid,
    format(template, tenant_column, acting.name) as condition
  from tenant_table cross join policy join acting using (part)
  where tenant_table.oid is not null and acting.oid is not null
  union all
  select 'head', 'select', pg_roles.rolname, pg_roles.oid, name, tenant_table.oid,
    format('( CASE WHEN (CURRENT_USER = %L::name) THEN current_setting(''atlas.event_head''::text, true) ELSE NULL::text END = ''on''::text)', rolname)
  from tenant_table join pg_roles on rolname = current_user where name = 'job_events'
)
select 'service' as about, format('the role %I does not exist', name) as fault,
  'the database was migrated by another login, which is the one to use; or a dump was restored without the roles: make them in an empty database (npm run cli -- roles), and restore the whole dump after that' as mend
from acting where oid is null and exists (select from tenant_table where oid is not null)

union all
select 'service', format('the role %I has %s', acting.name, string_agg(power.name, ', ')),
  format('alter role %I %s', acting.name, string_agg('no' || lower(power.name), ' '))
from acting join power using (oid) group by acting.name

union all
select 'service', format('the role %I owns %I', acting.name, tenant_table.name),
  format('alter table %I owner to %I', tenant_table.name, current_user)
from acting join tenant_table on relowner = acting.oid

union all
select 'service', format('the role %I is a member of %I, and so of %I, which %s', acting.name, joined.rolname, passing.rolname, passing.how),
  format('revoke %I from %I', joined.rolname, acting.name)
from acting join pg_auth_members on member = acting.oid join pg_roles joined on joined.oid = roleid
cross join lateral (
  select rolname, how from passing where pg_has_role(joined.oid, passing.oid, 'member')
  order by passing.oid <> joined.oid, rolname, how limit 1
) passing

union all
select 'service', format('there is no table %s', string_agg(name, ', ' order by name)), 'run the migrations (npm run cli -- migrate)'
from tenant_table where oid is null having count(*) > 0

union all
select 'service', format('row-level security is %s on %I', case when relrowsecurity then 'not forced' else 'off' end, name),
  format('alter table %I enable row level security, force row level security', name)
from tenant_table where not (relrowsecurity and relforcerowsecurity)

union all
select 'service', format('the policy %I on %I is not the one that was migrated', part, on_table),
  format('drop policy if exists %I on %I; create policy %1$I on %2$I for %s to %I using %s', part, on_table, command, role, condition)
from expected
where not exists (
  select from pg_policy
  where polrelid = relid and polname = part and polpermissive and polroles = array[role_oid] and polwithcheck is null
    and polcmd = case command when 'all' then '*' else 'r' end
    and regexp_replace(pg_get_expr(polqual, polrelid), '\\s+', ' ', 'g') = condition
)

union all
select 'service', format('the policy %I on %I is none of the service''s', polname, name), format('drop policy %I on %I', polname, name)
from pg_policy join tenant_table on polrelid = tenant_table.oid
where not exists (select from expected where relid = polrelid and part = polname)

union all
(
  select 'login', case when rolname = session_user then format('the login %I has %s', session_user, name)
    else format('the login %I is a member of %I, which has %s', session_user, rolname, name) end,
    'give the service one of its own that owns the database and may create roles, and nothing more'
  from power where name in ('SUPERUSER', 'BYPASSRLS') and pg_has_role(session_user, oid, 'member')
  order by rolname <> session_user, name desc limit 1
)`;
