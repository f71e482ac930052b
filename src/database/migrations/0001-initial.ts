import { Migration } from "@mikro-orm/migrations";

const TABLES = `
create table tenants (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz(3) not null default now(),
  constraint tenants_name_check check (char_length(name) between 1 and 200)
);

create table tenant_members (
  tenant_id uuid not null references tenants (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  seat text not null default 'free_beta',
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, user_id),
  constraint tenant_members_role_check check (role in ('viewer', 'member', 'owner')),
  constraint tenant_members_seat_check check (seat in ('free_beta', 'starter', 'pro', 'enterprise'))
);

create table jobs (
  id uuid not null default gen_random_uuid(),
  tenant_id uuid not null references tenants (id),
  job_type text not null,
  status text not null default 'queued',
  priority integer not null default 0,
  input jsonb not null default '{}',
  output jsonb,
  error jsonb,
  attempt integer not null default 0,
  max_attempts integer not null default 4,
  run_at timestamptz(3) not null default date_trunc('milliseconds', now()),
  due boolean not null default false,
  timeout_ms integer,
  cancel_requested_at timestamptz(3),
  checkpoint jsonb,
  idempotency_key text,
  trace_context jsonb,
  worker_id uuid,
  created_by uuid,
  version integer not null default 1,
  position bigint not null default 0,
  created_at timestamptz(3) not null default date_trunc('milliseconds', now()),
  started_at timestamptz(3),
  finished_at timestamptz(3),
  updated_at timestamptz(3) not null default date_trunc('milliseconds', now()),
  primary key (tenant_id, id),
  constraint jobs_status_check check (status in ('queued', 'running', 'completed', 'failed', 'canceled')),
  constraint jobs_finished_check check ((finished_at is null) = (status in ('queued', 'running'))),
  constraint jobs_worker_check check ((worker_id is not null) = (status = 'running')),
  constraint jobs_due_check check (not due or status = 'queued'),
  constraint jobs_attempt_check check (attempt between 0 and max_attempts),
  constraint jobs_max_attempts_check check (max_attempts >= 1),
  constraint jobs_job_type_check check (char_length(job_type) between 1 and 100),
  constraint jobs_input_check check (jsonb_typeof(input) = 'object'),
  constraint jobs_output_check check (output is null or status = 'completed'),
  constraint jobs_error_check check (error is null or status <> 'completed'),
  constraint jobs_timeout_check check (timeout_ms > 0)
);
create index jobs_list on jobs (tenant_id, priority desc, created_at desc, id desc);
create index jobs_claim on jobs (job_type, priority desc, run_at, id) where status = 'queued' and due;
-- One index for what is neither claimable nor finished: future jobs (no worker) by run_at, running jobs by worker.
create index jobs_waiting_or_running on jobs (worker_id, run_at) where not due and finished_at is null;
create unique index jobs_idempotency_key on jobs (tenant_id, idempotency_key) where idempotency_key is not null;

create table job_events (
  tenant_id uuid not null,
  job_id uuid not null,
  version integer not null,
  position bigint not null,
  id bigint generated always as identity,
  job_type text not null,
  previous_status text,
  status text,
  attempt integer not null,
  worker_id uuid,
  actor text not null,
  error jsonb,
  occurred_at timestamptz(3) not null,
  primary key (tenant_id, job_id, version)
);
create index job_events_tail on job_events (position, id);
create index job_events_replay on job_events (tenant_id, position, id);

create table job_counts (
  id bigint generated always as identity primary key,
  tenant_id uuid not null,
  job_type text not null,
  status text not null,
  delta bigint not null
);
create index job_counts_lookup on job_counts (tenant_id, job_type, status) include (delta);

create table daily_usage (
  tenant_id uuid not null,
  user_id uuid not null,
  day date not null,
  used integer not null,
  primary key (tenant_id, user_id, day)
);

create table workers (
  id uuid primary key,
  name text not null,
  job_types text[] not null,
  started_at timestamptz(3) not null default now(),
  seen_at timestamptz(3) not null default now()
);

-- The columns are the rate limiter's own; unlogged, since an allowance of one minute need not outlive a crash.
create unlogged table rate_limits (
  key varchar(255) primary key,
  points integer not null default 0,
  expire bigint
);

create table installation (
  only_row boolean primary key default true,
  system_identifier bigint not null,
  position_offset bigint not null default 0,
  pruned_position bigint not null default 0,
  cursor_key bytea not null,
  constraint installation_only_row_check check (only_row)
);
insert into installation (system_identifier, cursor_key)
select system_identifier,
  decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
from pg_control_system();
`;

const TRIGGERS = `
create function current_position() returns bigint language sql stable as $$
  select pg_current_xact_id()::text::bigint + position_offset from installation
$$;

-- Refuses illegal transitions and derives what follows from a status, so that no statement can forget it.
create function jobs_before_write() returns trigger language plpgsql as $$
declare
  changed_at timestamptz := date_trunc('milliseconds', clock_timestamp());
  -- A run_at of this very moment may have been rounded up to its column's milliseconds.
  due_until timestamptz := changed_at + interval '1 millisecond';
begin
  if tg_op = 'DELETE' then
    if old.status = 'running' then
      raise exception 'job % is running and cannot be deleted', old.id
        using errcode = 'check_violation', constraint = 'jobs_legal_transition';
    end if;
    return old;
  end if;

  if tg_op = 'UPDATE' then
    if new.id <> old.id or new.tenant_id <> old.tenant_id or new.job_type <> old.job_type then
      raise exception 'id, tenant_id and job_type of job % cannot change', old.id using errcode = 'check_violation';
    end if;
    if new.attempt < old.attempt then
      raise exception 'attempt of job % cannot shrink from % to %', old.id, old.attempt, new.attempt
        using errcode = 'check_violation';
    end if;
    new.version := old.version;
    new.position := old.position;
    if new.status = old.status then
      if new.run_at <> old.run_at then
        new.due := new.status = 'queued' and new.run_at <= due_until;
      end if;
      return new;
    end if;
    if (old.status || '>' || new.status) not in (
      'queued>running', 'queued>canceled',
      'running>completed', 'running>failed', 'running>canceled', 'running>queued',
      'failed>queued', 'canceled>queued'
    ) then
      raise exception 'job % cannot go from % to %', old.id, old.status, new.status
        using errcode = 'check_violation', constraint = 'jobs_legal_transition';
    end if;
    if new.status = 'running' and new.attempt <= old.attempt then
      raise exception 'a new run of job % needs a new attempt', old.id using errcode = 'check_violation';
    end if;
    new.version := old.version + 1;
    new.position := greatest(old.position, current_position());
    new.updated_at := changed_at;
  else
    if new.status <> 'queued' then
      raise exception 'job % must start as queued, not %', new.id, new.status
        using errcode = 'check_violation', constraint = 'jobs_legal_transition';
    end if;
    new.version := 1;
    new.position := current_position();
  end if;

  new.due := new.status = 'queued' and new.run_at <= due_until;
  if new.status <> 'running' then new.worker_id := null; end if;
  new.finished_at := case when new.status in ('queued', 'running') then null else changed_at end;
  return new;
end
$$;
create trigger jobs_before_write before insert or update or delete on jobs
  for each row execute function jobs_before_write();

create function current_actor() returns text language sql stable as $$
  select coalesce(nullif(current_setting('atlas.actor', true), ''), 'database:' || session_user)
$$;

-- A transition table is allowed for one kind of statement each, hence three triggers.
create function jobs_after_insert() returns trigger language plpgsql as $$
begin
  insert into job_events (tenant_id, job_id, version, position, job_type, previous_status, status, attempt, actor, occurred_at)
  select tenant_id, id, version, position, job_type, null, status, attempt, current_actor(), created_at from new_jobs;
  insert into job_counts (tenant_id, job_type, status, delta)
  select tenant_id, job_type, status, count(*) from new_jobs group by tenant_id, job_type, status;
  return null;
end
$$;
create trigger jobs_after_insert after insert on jobs
  referencing new table as new_jobs for each statement execute function jobs_after_insert();

create function jobs_after_update() returns trigger language plpgsql as $$
begin
  insert into job_events (
    tenant_id, job_id, version, position, job_type, previous_status, status, attempt, worker_id, actor, error, occurred_at
  )
  select n.tenant_id, n.id, n.version, n.position, n.job_type, o.status, n.status, n.attempt,
    coalesce(n.worker_id, o.worker_id), current_actor(),
    case when n.error is distinct from o.error then n.error end, n.updated_at
  from new_jobs n join old_jobs o on o.tenant_id = n.tenant_id and o.id = n.id
  where o.status <> n.status;
  insert into job_counts (tenant_id, job_type, status, delta)
  select tenant_id, job_type, status, sum(delta) from (
    select n.tenant_id, n.job_type, s.status, s.delta
    from new_jobs n join old_jobs o on o.tenant_id = n.tenant_id and o.id = n.id
    cross join lateral (values (o.status, -1), (n.status, 1)) s (status, delta)
    where o.status <> n.status
  ) deltas
  group by tenant_id, job_type, status;
  return null;
end
$$;
create trigger jobs_after_update after update on jobs
  referencing old table as old_jobs new table as new_jobs for each statement execute function jobs_after_update();

create function jobs_after_delete() returns trigger language plpgsql as $$
begin
  insert into job_events (tenant_id, job_id, version, position, job_type, previous_status, status, attempt, actor, occurred_at)
  select tenant_id, id, version + 1, greatest(position, current_position()), job_type, status, null, attempt,
    current_actor(), clock_timestamp() from old_jobs;
  insert into job_counts (tenant_id, job_type, status, delta)
  select tenant_id, job_type, status, -count(*) from old_jobs group by tenant_id, job_type, status;
  return null;
end
$$;
create trigger jobs_after_delete after delete on jobs
  referencing old table as old_jobs for each statement execute function jobs_after_delete();

-- Truncation would leave neither events nor counts behind.
create function jobs_refuse_truncate() returns trigger language plpgsql as $$
begin
  raise exception 'jobs cannot be truncated: delete them, so that each deletion is an event';
end
$$;
create trigger jobs_refuse_truncate before truncate on jobs
  for each statement execute function jobs_refuse_truncate();
`;

/*
 * Roles are the cluster's, not the database's: their names end in the login's, and another database of the cluster may
 * have made them, or be making them at this moment (unique_violation).
 */
const ROW_LEVEL_SECURITY = `
do $$
declare
  login constant text := current_user;
  api constant text := left('atlas_api_' || login, 63);
  feed constant text := left('atlas_feed_' || login, 63);
  worker constant text := left('atlas_worker_' || login, 63);
  acting text;
  tenant_table text;
  tenant_column text;
begin
  foreach acting in array array[api, feed, worker] loop
    begin
      execute format('create role %I nologin nosuperuser nobypassrls', acting);
    exception when duplicate_object or unique_violation then null;
    end;
    -- The service takes these roles with SET ROLE; from PostgreSQL 16 on its login need not inherit them.
    if current_setting('server_version_num')::int >= 160000 then
      execute format('grant %I to %I with inherit false, set true', acting, login);
    else
      execute format('grant %I to %I', acting, login);
    end if;
    execute format('grant usage on schema %I to %I', current_schema(), acting);
  end loop;

  for tenant_table, tenant_column in values
    ('tenants', 'id'), ('tenant_members', 'tenant_id'), ('jobs', 'tenant_id'), ('job_events', 'tenant_id'),
    ('job_counts', 'tenant_id'), ('daily_usage', 'tenant_id')
  loop
    execute format('alter table %I enable row level security, force row level security', tenant_table);
    -- A policy also applies to a login that inherits its role, so each one tests the role that acts: inside a CASE, since
    -- the planner takes a bare current_user = '…' to keep one row in 200, and then sorts what an index gives in order.
    execute format(
      'create policy api on %I to %I using (
        %I = case when current_user = %L then nullif(current_setting(''atlas.tenant_id'', true), '''')::uuid end)',
      tenant_table, api, tenant_column, api);
    execute format(
      'create policy feed on %I for select to %I using (case when current_user = %L then true end is not null)',
      tenant_table, feed, feed);
    execute format(
      'create policy worker on %I to %I using (case when current_user = %L then true end is not null)',
      tenant_table, worker, worker);
    execute format('grant select on %I to %I, %I', tenant_table, api, feed);
    execute format('grant select, insert, update, delete on %I to %I', tenant_table, worker);
  end loop;

  execute format('grant insert, update, delete on jobs to %I', api);
  execute format('grant insert on job_events, job_counts to %I', api);
  execute format('grant insert, update on daily_usage to %I', api);
  execute format('grant select, insert, update, delete on rate_limits to %I, %I', api, worker);
  execute format('grant select on workers to %I', feed);
  execute format('grant select, insert, update, delete on workers to %I', worker);
  execute format('grant select (system_identifier, position_offset, pruned_position) on installation to %I', api);
  execute format('grant select on installation to %I', feed);
  execute format('grant select, update on installation to %I', worker);
end
$$;
`;

/** Every table, invariant, trigger, role and policy that the service starts with. */
export class InitialMigration extends Migration {
  override name = "0001-initial";

  override up(): void {
    this.addSql(TABLES);
    this.addSql(TRIGGERS);
    this.addSql(ROW_LEVEL_SECURITY);
  }
}
