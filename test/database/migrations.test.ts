import { EntitySchema } from "@mikro-orm/postgresql";
import { Database } from "../../src/database/database.js";
import { entities } from "../../src/database/entities/entities.js";
import { readCursorKey } from "../../src/database/installation.js";
import { migrate } from "../../src/database/migrate.js";
import { JOB_STATUSES, MEMBER_ROLES, SEATS } from "../../src/words.js";
import { asSuperuser, createTenant, useDatabase, silent, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";

const own = useDatabase();

interface Column {
  table: string;
  name: string;
  type: string;
  nullable: boolean;
  key: boolean;
}

const byName = (a: Column, b: Column) => `${a.table}.${a.name}`.localeCompare(`${b.table}.${b.name}`);

describe("migrations", () => {
  it("make the tables that the entities describe: columns, types, nullability, keys", async () => {
    const migrated = (await asSuperuser(
      `select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
         coalesce(a.attnum = any (i.indkey), false) as key
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       left join pg_index i on i.indrelid = c.oid and i.indisprimary
       where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> 'migrations'`,
      own.superuserUrl,
    )) as Column[];
    const metadata = own.database.mikroOrm.getMetadata();
    const described = entities.flatMap((entity): Column[] => {
      const { tableName, props } = metadata.get(
        EntitySchema.REGISTRY.get(entity as never)?.meta.class ?? entity.meta.class,
      );
      return props.map(({ fieldNames, columnTypes, nullable = false, primary = false }) => ({
        table: tableName,
        name: fieldNames[0] ?? "",
        type: typeOf(columnTypes[0] ?? ""),
        nullable,
        key: primary,
      }));
    });
    expect(described.length).toBeGreaterThan(60);
    expect(described.toSorted(byName)).toEqual(migrated.toSorted(byName));
  });

  it.each([
    ["jobs_status_check", JOB_STATUSES],
    ["tenant_members_seat_check", SEATS],
    ["tenant_members_role_check", MEMBER_ROLES],
  ])("let %s allow the words that the code has", async (constraint, words) => {
    const [row] = (await asSuperuser(
      `select pg_get_constraintdef(oid) as definition from pg_constraint where conname = '${constraint}'`,
      own.superuserUrl,
    )) as { definition: string }[];
    const allowed = [...(row?.definition ?? "").matchAll(/'(\w+)'::text/g)].map(([, word]) => word);
    expect(allowed).toEqual(words);
  });

  it("run once, however many processes migrate at the same moment", async () => {
    const made = (await asSuperuser("select name from migrations order by id", own.superuserUrl)) as { name: string }[];
    await asSuperuser(`drop schema public cascade; create schema public authorization atlas`, own.superuserUrl);
    const databases = await Promise.all(
      [1, 2, 3].map(() => Database.connect({ url: own.url, poolSize: 3, log: silent })),
    );
    const ran = await Promise.all(databases.map((database) => migrate(database)));
    expect(ran.filter((names) => names.length > 0)).toEqual([made.map(({ name }) => name)]);
    expect(made[0]).toEqual({ name: "0001-initial" });
    expect(await migrate(own.database)).toEqual([]);
    await Promise.all(databases.map((database) => database.close()));
  });
});

it.each([
  ["the feed's role, which made it", () => own.database.roleName("feed")],
  ["the login, which restored a dump", () => "atlas"],
])("the third takes the event head from %s", async (_whose, owner) => {
  await asSuperuser(
    `drop policy head on job_events;
     alter function event_head(bigint) owner to ${owner()};
     delete from migrations where name = '0003-event-head-of-the-login'`,
    own.superuserUrl,
  );
  expect(await migrate(own.database)).toEqual(["0003-event-head-of-the-login"]);
  const [made] = await asSuperuser(
    "select pg_get_userbyid(proowner) as owner from pg_proc where proname = 'event_head'",
    own.superuserUrl,
  );
  expect(made).toEqual({ owner: "atlas" });
  const { tenantId } = await createTenant(own.database);
  const position = await own.database.transaction(SYSTEM, async (tx) => {
    await tx.query("insert into jobs (tenant_id, job_type) values ($1, 'A')", [tenantId]);
    const [event] = await tx.query<{ position: string }>("select max(position) as position from job_events");
    return BigInt(event?.position ?? 0);
  });
  const headNow = () => own.database.transaction({ role: "feed" }, ({ head }) => Promise.resolve(head));
  // Other tests' transactions, on the same server, hold it back for a while.
  await until(async () => (await headNow()) === position + 1n, { what: `head ${position + 1n}` });
});

describe("the installation", () => {
  it("keeps one cursor key", async () => {
    const key = await readCursorKey(own.database);
    expect(key).toHaveLength(32);
    expect(await readCursorKey(own.database)).toEqual(key);
  });

  it("raises its position offset past every position kept once it finds itself on another server", async () => {
    const offset = async () =>
      ((await asSuperuser("select position_offset as o from installation", own.superuserUrl)) as { o: string }[])[0]?.o;
    await own.database.adopt();
    expect(await offset()).toBe("0");
    // As a dump shows it that was restored into a young server.
    await asSuperuser(
      `insert into tenants (id, name) values ('11111111-1111-4111-8111-111111111111', 'T');
       insert into jobs (tenant_id, job_type) values ('11111111-1111-4111-8111-111111111111', 'A');
       alter table jobs disable trigger all;
       update jobs set position = 5000000000;
       update job_events set position = 5000000000;
       alter table jobs enable trigger all;
       update installation set system_identifier = 42`,
      own.superuserUrl,
    );
    await own.database.adopt();
    expect(await offset()).toBe(String(5_000_000_000n + (1n << 40n)));
    await own.database.transaction(SYSTEM, (tx) => tx.query("update jobs set status = 'canceled'"));
    const [event] = await asSuperuser(
      "select position > 5000000000 + (1::bigint << 40) as later, version from job_events order by position desc limit 1",
      own.superuserUrl,
    );
    expect(event).toEqual({ later: true, version: 2 });
  });
});

/** A column type as the ORM writes it, in PostgreSQL's own words. */
function typeOf(declared: string): string {
  return declared
    .replace(/^timestamptz\((\d)\)$/, "timestamp($1) with time zone")
    .replace(/^int$|^int4$|^serial$/, "integer")
    .replace(/^varchar\((\d+)\)$/, "character varying($1)")
    .replace(/^bigserial$|^int8$/, "bigint")
    .replace(/^bool$/, "boolean");
}
