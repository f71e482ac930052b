import { randomUUID } from "node:crypto";
import pg from "pg";
import { TENANT_TABLES } from "../../src/database/check-row-level-security.js";
import type { Session } from "../../src/database/database.js";
import { asSuperuser, createTenant, SYSTEM } from "../support/database.js";
import { useLoginDatabase } from "../support/login.js";

const TABLES = Object.keys(TENANT_TABLES);

// A login of its own migrates it from the source, so that a fault planted there is seen.
const own = useLoginDatabase();
let mine: Session & { role: "api" };
let others: string;
beforeAll(async () => {
  const tenants = [await createTenant(own.database), await createTenant(own.database)] as const;
  mine = { role: "api", tenantId: tenants[0].tenantId, actor: "user:me" };
  others = tenants[1].tenantId;
  for (const { tenantId, userId } of tenants) {
    await own.database.transaction(SYSTEM, async (tx) => {
      await tx.query("insert into jobs (tenant_id, job_type) values ($1, 'A')", [tenantId]);
      await tx.query("insert into daily_usage (tenant_id, user_id, day, used) values ($1, $2, now(), 1)", [
        tenantId,
        userId,
      ]);
    });
  }
});

const countIn = async (session: Session, table: string): Promise<number> =>
  (await own.database.transaction(session, (tx) => tx.query(`select 1 from ${table}`))).length;

describe("row-level security", () => {
  it.each(TABLES)("shows the api one tenant's %s, and none without a tenant", async (table) => {
    expect(await countIn(SYSTEM, table)).toBe(2);
    expect(await countIn(mine, table)).toBe(1);
    expect(await countIn({ ...mine, tenantId: "" }, table)).toBe(0);
    expect(await countIn({ ...mine, tenantId: randomUUID() }, table)).toBe(0);
  });

  it.each(TABLES)("is forced on %s: its owner sees nothing", async (table) => {
    const client = new pg.Client({ connectionString: own.url });
    await client.connect();
    expect((await client.query(`select 1 from ${table}`)).rows).toEqual([]);
    await client.end();
  });

  it("covers every table that names a tenant", async () => {
    const rows = await asSuperuser(
      `select relname as name, relrowsecurity and relforcerowsecurity as forced from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r'
         and (relname = 'tenants' or exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'))`,
      own.superuserUrl,
    );
    expect(rows).toEqual(expect.arrayContaining(TABLES.map((name) => ({ name, forced: true }))));
    expect(rows).toHaveLength(TABLES.length);
  });

  it("keeps the api from writing another tenant's rows", async () => {
    const write = (sql: string) => own.database.transaction(mine, (tx) => tx.query(sql, [others]));
    await expect(write("insert into jobs (tenant_id, job_type) values ($1, 'A')")).rejects.toThrow(
      /row-level security/,
    );
    expect(await write("update jobs set priority = 1 where tenant_id = $1 returning id")).toEqual([]);
    expect(await write("delete from jobs where tenant_id = $1 returning id")).toEqual([]);
  });

  it("lets the feed read and write nothing", async () => {
    expect(await countIn({ role: "feed" }, "job_events")).toBe(2);
    await expect(
      own.database.transaction({ role: "feed" }, (tx) => tx.query("delete from job_events")),
    ).rejects.toThrow(/permission denied/);
  });

  it("keeps the cursor key from the api", async () => {
    await expect(
      own.database.transaction(mine, (tx) => tx.query("select cursor_key from installation")),
    ).rejects.toThrow(/permission denied/);
  });

  it("acts in roles that cannot bypass it", async () => {
    const roles = await asSuperuser(
      `select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname like 'atlas\\_%\\_${own.login}' order by 1`,
    );
    const harmless = { rolsuper: false, rolbypassrls: false, rolcanlogin: false };
    expect(roles).toEqual(Object.values(own.roles).map((rolname) => ({ rolname, ...harmless })));
  });

  it.each(["api", "feed", "worker"] as const)("does not open to a login that inherits the %s's role", async (role) => {
    const login = `heir_${randomUUID().slice(0, 8)}`;
    await asSuperuser(`create role ${login} login inherit password 'heir' in role ${own.roles[role]}`);
    const client = new pg.Client({
      connectionString: Object.assign(new URL(own.url), { username: login, password: "heir" }).href,
    });
    await client.connect();
    await client.query("select set_config('atlas.tenant_id', $1, false)", [mine.tenantId]);
    for (const table of TABLES) expect((await client.query(`select 1 from ${table}`)).rows).toEqual([]);
    await client.end();
    await asSuperuser(`drop role ${login}`);
  });

  it("leaves nothing of a transaction's tenant on a pooled connection", async () => {
    await countIn(mine, "jobs");
    const left = await own.database.mikroOrm.em
      .fork()
      .execute("select current_user as role, current_setting('atlas.tenant_id', true) as tenant");
    expect(left).toEqual([{ role: own.login, tenant: "" }]);
  });
});
