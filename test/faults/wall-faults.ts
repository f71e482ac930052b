import type { Fault } from "./faults.js";

const MIGRATION = "src/database/migrations/0001-initial.ts";
const POLICIES = "test/database/row-level-security.test.ts";
const FILTERS = "test/services/tenant-filter.test.ts";

/** A filter by tenant that a statement has lost: the first of the two walls. */
export const FILTER_FAULTS: readonly (Fault & {
  /** Whether the policies, the second wall, still keep the tenants apart. */
  held: boolean;
})[] = [
  {
    name: "jobs found by id alone",
    file: "src/services/read-jobs.ts",
    from: ".where({ tenantId, id: { $in: [...ids] } })",
    to: ".where({ id: { $in: [...ids] } })",
    caughtBy: [FILTERS, "finds none of another tenant's jobs"],
    held: true,
  },
  {
    name: "jobs listed without the tenant",
    file: "src/services/read-jobs.ts",
    from: "return {\n    tenantId,",
    to: "return {\n    ...(tenantId === '' && { tenantId }),",
    caughtBy: [FILTERS, "lists none of another tenant's jobs"],
    held: true,
  },
  {
    name: "jobs counted without the tenant",
    file: "src/services/read-jobs.ts",
    from: ".where(jobsWhere(tenantId, { status: filter?.status, jobType: filter?.jobType }))",
    to: ".where({})",
    caughtBy: [FILTERS, "counts none of another tenant's jobs"],
    held: true,
  },
  {
    name: "cancel by id alone",
    file: "src/queue/cancel.ts",
    from: "where tenant_id = $1 and",
    to: "where $1::uuid is not null and",
    caughtBy: [FILTERS, "cancels none of another tenant's jobs"],
    held: true,
  },
  {
    name: "delete by id alone",
    file: "src/queue/delete.ts",
    from: "where tenant_id = $1 and",
    to: "where $1::uuid is not null and",
    caughtBy: [FILTERS, "deletes none of another tenant's jobs"],
    held: true,
  },
  {
    name: "retry by id alone",
    file: "src/queue/retry.ts",
    from: "where tenant_id = $1 and",
    to: "where $1::uuid is not null and",
    caughtBy: [FILTERS, "retries none of another tenant's jobs"],
    held: true,
  },
  {
    name: "idempotency keys of every tenant",
    file: "src/queue/find-replays.ts",
    from: "on jobs.tenant_id = $1 and",
    to: "on $1::uuid is not null and",
    caughtBy: [FILTERS, "replays no create of another tenant's"],
    held: true,
  },
  {
    name: "a job's events by its id alone",
    file: "src/queue/read-histories.ts",
    from: 'where tenant_id = $1 and job_id = part."jobId"',
    to: 'where $1::uuid is not null and job_id = part."jobId"',
    caughtBy: [FILTERS, "reads no event of another tenant's job"],
    held: true,
  },
  {
    name: "a job's attempts by its id alone",
    file: "src/queue/read-histories.ts",
    from: "where tenant_id = $1 and job_id = job.id",
    to: "where $1::uuid is not null and job_id = job.id",
    caughtBy: [FILTERS, "reads no attempt of another tenant's job"],
    held: true,
  },
  {
    name: "pages of events without the tenant",
    file: "src/feed/read-events.ts",
    from: "where tenant_id = $5 and",
    to: "where $5::uuid is not null and",
    caughtBy: [FILTERS, "pages through none of another tenant's events"],
    held: true,
  },
  {
    name: "use of the day by user alone",
    file: "src/queue/usage.ts",
    from: "left join daily_usage u on u.tenant_id = $1 and",
    to: "left join daily_usage u on $1::uuid is not null and",
    caughtBy: [FILTERS, "counts nothing of the same user's day in another tenant"],
    held: true,
  },
  {
    name: "members listed without the tenant",
    file: "src/services/member-service.ts",
    from: ".where({ tenantId, ...(",
    to: ".where({ ...(",
    caughtBy: [FILTERS, "lists none of another tenant's members"],
    held: true,
  },
  {
    name: "membership by user alone",
    file: "src/auth/authenticator.ts",
    from: ".where({ tenantId, userId })",
    to: ".where({ userId })",
    caughtBy: [FILTERS, "takes no member of one tenant for a member of another"],
    held: true,
  },
  // The feed reads for every tenant, and a loader or a cursor decides whose data is asked for: no policy can help there.
  {
    name: "missed events without the tenant",
    file: "src/feed/read-events.ts",
    from: "where tenant_id = $5 and",
    to: "where $5::uuid is not null and",
    caughtBy: [FILTERS, "catches up with none of another tenant's events"],
    held: false,
  },
  {
    name: "live events to everybody",
    file: "src/feed/tail.ts",
    from: "for (const listener of this.listeners.get(event.tenantId) ?? []) listener.event(event);",
    to: "for (const all of this.listeners.values()) for (const listener of all) listener.event(event);",
    caughtBy: [FILTERS, "follows none of another tenant's events"],
    held: false,
  },
  {
    name: "one batch for every tenant",
    file: "src/services/tenant-loader.ts",
    from: "this.loaders.get(tenantId) ??",
    to: "[...this.loaders.values()][0] ??",
    caughtBy: [FILTERS, "gives two tenants that ask in the same turn each its own"],
    held: false,
  },
  {
    name: "cursors of every tenant",
    file: "src/services/cursors.ts",
    from: "`${kind}:${tenantId}:`",
    to: "`${kind}:${tenantId.length}:`",
    caughtBy: [FILTERS, "takes no cursor of another tenant's"],
    held: false,
  },
];

/** A hole in the policies, the second wall, or in what looks after them. */
export const POLICY_FAULTS: readonly Fault[] = [
  {
    name: "policy without the tenant",
    file: MIGRATION,
    from: "%I = case when current_user = %L then nullif(current_setting(''atlas.tenant_id'', true), '''')::uuid end)',",
    to: "%I is not null and case when current_user = %L then true end)',",
    caughtBy: [POLICIES, "shows the api one tenant's jobs, and none without a tenant"],
  },
  {
    name: "policy without the role that acts",
    file: MIGRATION,
    from: "'create policy worker on %I to %I using (case when current_user = %L then true end is not null)'",
    to: "'create policy worker on %I to %I using (%L is not null)'",
    caughtBy: [POLICIES, "does not open to a login that inherits the worker's role"],
  },
  {
    name: "tenant's policy without the role that acts",
    file: MIGRATION,
    from: "%I = case when current_user = %L then nullif(current_setting(''atlas.tenant_id'', true), '''')::uuid end)',",
    to: "%I = case when %L is not null then nullif(current_setting(''atlas.tenant_id'', true), '''')::uuid end)',",
    caughtBy: [POLICIES, "does not open to a login that inherits the api's role"],
  },
  {
    name: "row-level security not forced",
    file: MIGRATION,
    from: "enable row level security, force row level security",
    to: "enable row level security",
    caughtBy: [POLICIES, "is forced on jobs: its owner sees nothing"],
  },
  {
    name: "a table without row-level security",
    file: MIGRATION,
    from: "execute format('alter table %I enable row level security, force row level security', tenant_table);",
    to: "if tenant_table <> 'job_counts' then execute format('alter table %I enable row level security, force row level security', tenant_table); end if;",
    caughtBy: [POLICIES, "covers every table that names a tenant"],
  },
  {
    name: "cursor key readable",
    file: MIGRATION,
    from: "grant select (system_identifier, position_offset, pruned_position) on installation",
    to: "grant select on installation",
    caughtBy: [POLICIES, "keeps the cursor key from the api"],
  },
  {
    name: "tenant kept on the connection",
    file: "src/database/database.ts",
    from: "set_config('atlas.tenant_id', $2, true)",
    to: "set_config('atlas.tenant_id', $2, false)",
    caughtBy: [POLICIES, "leaves nothing of a transaction's tenant on a pooled connection"],
  },
  {
    name: "role kept on the connection",
    file: "src/database/database.ts",
    from: "set_config('role', $1, true)",
    to: "set_config('role', $1, false)",
    caughtBy: [POLICIES, "leaves nothing of a transaction's tenant on a pooled connection"],
  },
  {
    name: "policies compared by name alone",
    file: "src/database/check-row-level-security.ts",
    from: "and regexp_replace(pg_get_expr(polqual, polrelid), '\\\\s+', ' ', 'g') = condition",
    to: "and condition is not null",
    caughtBy: [
      "test/database/check-row-level-security.test.ts",
      "refuses after: alter policy api on jobs using (true)",
    ],
  },
];
