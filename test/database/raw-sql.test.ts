import { randomUUID } from "node:crypto";
import pg from "pg";
import { CreateLimit } from "../../src/services/create-limit.js";
import { asSuperuser, createTenant, SYSTEM } from "../support/database.js";
import { useLoginDatabase } from "../support/login.js";

/** In every text of the other tenant's rows. */
const SECRET = "THEIR_SECRET";

/** How PostgreSQL refuses; its words differ between versions. */
const DENIED = { code: "42501" };
const HELD = { code: "42501", message: expect.stringContaining("row-level security") as string };

const own = useLoginDatabase();
let mine: { tenantId: string; userId: string };
let theirs: { tenantId: string; userId: string };
let largeObject: string;
beforeAll(async () => {
  [mine, theirs] = await Promise.all([createTenant(own.database), createTenant(own.database)]);
  const limit = new CreateLimit(own.database, 30);
  for (const [{ tenantId, userId }, text] of [
    [mine, "MINE"],
    [theirs, SECRET],
  ] as const) {
    await limit.take({ tenantId, userId, role: "member", seatType: "pro", expiresAt: new Date() });
    await own.database.transaction(SYSTEM, async (tx) => {
      await tx.query("update tenants set name = $2 where id = $1", [tenantId, text]);
      await tx.query(
        "insert into jobs (tenant_id, job_type, input) select $1::uuid, $2::text, jsonb_build_object('text', $2::text) from generate_series(1, 3)",
        [tenantId, text],
      );
      await tx.query("insert into daily_usage values ($1, $2, now(), 1)", [tenantId, userId]);
    });
  }
  await asSuperuser("analyze", own.superuserUrl);
  const [made] = await asSuperuser(`select lo_from_bytea(0, '${SECRET}')::text as oid`, own.superuserUrl);
  largeObject = (made as { oid: string }).oid;
});

type Begin = Partial<{ role: string; tenantId: string }>;

/** Runs statements, the last one's answer counts, in a transaction as a request begins it; nothing of them stays. */
async function run(sql: string, { role = own.roles.api, tenantId = mine.tenantId }: Begin = {}) {
  const client = new pg.Client({ connectionString: role === "" ? own.superuserUrl : own.url });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select set_config('role', $1, true), set_config('atlas.tenant_id', $2, true)", [
      role === "" ? "none" : role,
      tenantId,
    ]);
    const answers = [await client.query<Record<string, unknown>>(named(sql))].flat();
    return answers.at(-1)!;
  } finally {
    await client.end();
  }
}

const named = (sql: string): string =>
  sql.replaceAll(
    /\{(\w+)\}/g,
    (braced, name: string) => ({ ...own.roles, others: theirs.tenantId, largeObject, SECRET })[name] ?? braced,
  );

const theirTraces = (rows: unknown): string[] =>
  [SECRET, theirs.tenantId, theirs.userId].filter((trace) => JSON.stringify(rows).includes(trace));

describe("an unfiltered query in a request's role", () => {
  it.each([
    "table tenants",
    "table tenant_members",
    "table jobs",
    "table job_events",
    "table job_counts",
    "table daily_usage",
    "select to_jsonb(j) from jobs j",
    "select string_agg(name, ',') from tenants",
    "select array_agg(m) from tenant_members m",
    "select * from jobs tablesample system (100)",
    "select * from tenants t left join job_events e on e.tenant_id <> t.id",
    "select query_to_xml('select * from jobs', true, false, '')::text as x",
    "select table_to_xml('tenants', true, false, '')::text as x",
    "select schema_to_xml('public', true, false, '')::text as x",
    "select ctid, tableoid, j.* from jobs j",
    "select * from jobs for update",
    "declare c cursor for table jobs; fetch all from c",
    "prepare p as table jobs; execute p",
    "create temporary table copy as table jobs; table copy",
    "create temporary view looking as table jobs; table looking",
    "with stolen as (update jobs set priority = 1 returning *) table stolen",
    "with stolen as (delete from jobs returning *) table stolen",
    "insert into daily_usage as u select tenant_id, user_id, day, 1 from daily_usage on conflict (tenant_id, user_id, day) do update set used = 2 returning *",
    "select most_common_vals::text from pg_stats where schemaname = 'public'",
  ])("gives no trace of another tenant: %s", async (sql) => {
    expect(theirTraces((await run(sql)).rows)).toEqual([]);
    // Whom no policy holds sees them: there was something to see.
    expect(theirTraces((await run(sql, { role: "" })).rows)).not.toEqual([]);
  });

  it("gives no trace of another tenant in the counters of the rate limit, which no policy holds", async () => {
    const { rows } = await run("table rate_limits");
    expect(rows).toHaveLength(2);
    expect(theirTraces(rows)).toEqual([]);
  });

  it("gives no row of any table without a tenant", async () => {
    for (const table of ["tenants", "tenant_members", "jobs", "job_events", "job_counts", "daily_usage"]) {
      expect((await run(`table ${table}`, { tenantId: "" })).rows).toEqual([]);
    }
  });

  it.each(["garbage", " ", "null", "*", "%", "' or true --", "00000000-0000-0000-0000", "{others},{others}"])(
    "is an error, not rows, with the tenant id %j",
    async (tenantId) => {
      await expect(run("table jobs", { tenantId: named(tenantId) })).rejects.toThrow(
        /invalid input syntax for type uuid/,
      );
    },
  );

  it("evaluates no condition on another tenant's rows", async () => {
    const sql = "select count(*)::int as n from jobs where 1 / (case job_type when '{SECRET}' then 0 else 1 end) = 1";
    expect((await run(sql)).rows).toEqual([{ n: 3 }]);
    await expect(run(sql, { role: "" })).rejects.toThrow(/division by zero/);
  });

  it("copies out one tenant's rows", async () => {
    expect((await run("copy jobs to stdout")).rowCount).toBe(3);
    expect((await run("copy jobs to stdout", { role: own.roles.worker })).rowCount).toBe(6);
  });
});

describe("a request's role", () => {
  it.each([
    ["select cursor_key from installation", DENIED],
    ["table workers", DENIED],
    ["table migrations", DENIED],
    ["table pg_statistic", DENIED],
    ["table pg_authid", DENIED],
    ["table pg_largeobject", DENIED],
    ["select lo_get({largeObject})", DENIED],
    ["select last_value from job_events_id_seq", DENIED],
    ["select nextval('job_events_id_seq')", DENIED],
    ["select pg_read_file('postgresql.conf')", DENIED],
    ["copy (table jobs) to program 'cat'", DENIED],
    ["copy (table jobs) to '/dev/null'", DENIED],
    ["set local row_security = off; table jobs", HELD],
  ])("cannot read past the policies: %s", (sql, refusal) => expect(run(sql)).rejects.toMatchObject(refusal));

  it.each([
    ["insert into jobs (tenant_id, job_type) values ('{others}', 'A')", HELD],
    [
      "insert into job_events (tenant_id, job_id, version, position, job_type, attempt, actor, occurred_at) values ('{others}', gen_random_uuid(), 1, 1, 'A', 0, 'me', now())",
      HELD,
    ],
    ["insert into job_counts (tenant_id, job_type, status, delta) values ('{others}', 'A', 'queued', 9)", HELD],
    ["insert into daily_usage values ('{others}', gen_random_uuid(), now(), 9)", HELD],
    ["update jobs set tenant_id = '{others}'", { code: "23514" }],
    ["update daily_usage set tenant_id = '{others}'", HELD],
    ["copy jobs from stdin", { code: "0A000" }],
    ["update job_events set actor = 'nobody'", DENIED],
    ["delete from job_events", DENIED],
    ["delete from daily_usage", DENIED],
    ["update job_counts set delta = 0", DENIED],
    ["update tenants set name = 'Ours'", DENIED],
    ["insert into tenant_members (tenant_id, user_id) values ('{others}', gen_random_uuid())", DENIED],
    ["update tenant_members set role = 'owner'", DENIED],
    ["update installation set pruned_position = 0", DENIED],
    ["truncate jobs", DENIED],
    ["truncate rate_limits", DENIED],
    ["select setval('job_events_id_seq', 1)", DENIED],
  ])("cannot write past the policies: %s", (sql, refusal) => expect(run(sql)).rejects.toMatchObject(refusal));

  it.each([
    ["create table t (id int)", DENIED],
    ["create view v as table jobs", DENIED],
    ["create function f() returns int language sql as 'select 1'", DENIED],
    ["create schema s", DENIED],
    ["create extension dblink", DENIED],
    ["create policy mine on jobs using (true)", DENIED],
    ["alter policy api on jobs using (true)", DENIED],
    ["drop policy api on jobs", DENIED],
    ["alter table jobs disable row level security", DENIED],
    ["alter table jobs no force row level security", DENIED],
    ["alter table jobs disable trigger all", DENIED],
    ["create trigger t before insert on jobs for each row execute function jobs_before_write()", DENIED],
    ["create rule r as on select to jobs do instead select 1", DENIED],
    ["create or replace function event_head(bigint) returns bigint language sql as 'select 1'", DENIED],
    ["alter role {api} bypassrls", DENIED],
    ["grant {worker} to {api}", DENIED],
    ["set session_replication_role = replica", DENIED],
  ])("makes and changes nothing: %s", (sql, refusal) => expect(run(sql)).rejects.toMatchObject(refusal));

  it("tells by no error whether a tenant exists", async () => {
    const refusalOf = (tenantId: string): Promise<string> =>
      run(`insert into jobs (tenant_id, job_type) values ('${tenantId}', 'A')`).then(
        () => "none",
        (error: Error) => error.message,
      );
    expect(await refusalOf(theirs.tenantId)).toBe(await refusalOf(randomUUID()));
  });
});

describe("leaving the role of a request", () => {
  it.each(["set local role none", "reset role", "set session authorization default"])(
    "leads to the login, which sees nothing: %s",
    async (sql) => {
      expect((await run(`${sql}; table jobs`)).rows).toEqual([]);
      expect((await run(`${sql}; select current_user as role`)).rows).toEqual([{ role: own.login }]);
    },
  );

  it.each(["set local role postgres", "set session authorization postgres", "set session authorization {worker}"])(
    "leads no further: %s",
    (sql) => expect(run(sql)).rejects.toMatchObject(DENIED),
  );

  it("comes too late within the statement that reads", async () => {
    const sql = `with taken as materialized (select set_config('role', '{worker}', true)) select jobs.* from taken, jobs`;
    expect((await run(sql)).rows).toEqual([]);
  });
});

describe("what the migrations make", () => {
  it("runs in its caller's role, but for the event head, which tells a number and owns nothing", async () => {
    expect(
      await asSuperuser(
        `select proname as name, pg_get_userbyid(proowner) as owner, prorettype::regtype::text as returns
         from pg_proc where pronamespace = 'public'::regnamespace and (prosecdef or proleakproof)`,
        own.superuserUrl,
      ),
    ).toEqual([{ name: "event_head", owner: own.login, returns: "bigint" }]);
  });

  it("has no view that would read as its owner", async () => {
    expect(
      await asSuperuser(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm', 'f')",
        own.superuserUrl,
      ),
    ).toEqual([]);
  });

  it("grants nothing to everybody", async () => {
    expect(
      await asSuperuser(
        `select relname, acl.privilege_type from pg_class cross join lateral aclexplode(relacl) acl
         where relnamespace = 'public'::regnamespace and acl.grantee = 0`,
        own.superuserUrl,
      ),
    ).toEqual([]);
  });
});
