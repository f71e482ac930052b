import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Session, Transaction } from "../../src/database/database.js";
import { readEvents } from "../../src/feed/read-events.js";
import { claim } from "../../src/queue/claim.js";
import { complete } from "../../src/queue/complete.js";
import { makeDue } from "../../src/queue/make-due.js";
import {
  asSuperuser,
  createTenant,
  createTestDatabase,
  SYSTEM,
  type TestDatabase,
  useDatabase,
} from "../support/database.js";

const own = useDatabase();
let tenantId: string;
let small: string;
beforeAll(async () => {
  ({ tenantId } = await createTenant(own.database));
  ({ tenantId: small } = await createTenant(own.database));
  await asSuperuser(
    `insert into jobs (tenant_id, job_type) select '${small}', 'T0' from generate_series(1, 100);
     insert into jobs (tenant_id, job_type, priority, run_at)
     select '${tenantId}', 'T' || n % 3, n % 5, now() + (n % 2) * interval '1 day' from generate_series(1, 20000) n;
     analyze`,
    own.superuserUrl,
  );
});

/** How PostgreSQL would run the statement that `work` sends, under row-level security. */
async function planOf(
  session: Session,
  work: (tx: Transaction) => Promise<unknown>,
  { database }: Pick<TestDatabase, "database"> = own,
): Promise<string> {
  let plan = "";
  await database.transaction(session, async (tx) => {
    const query = async <Row>(sql: string, values?: readonly unknown[]): Promise<Row[]> => {
      const rows = await tx.query<Record<string, string>>(`explain (costs off) ${sql}`, values);
      plan = rows.map((row) => Object.values(row)[0]).join("\n");
      return [];
    };
    await work({ ...tx, query });
  });
  return plan;
}

describe("under row-level security, with many rows", () => {
  it("a list reads its page in the index's order", async () => {
    const plan = await planOf({ role: "api", tenantId, actor: "user:me" }, (tx) =>
      tx.query("select id from jobs where tenant_id = $1 order by priority desc, created_at desc, id desc limit 51", [
        tenantId,
      ]),
    );
    expect(plan).toContain("using jobs_list on jobs");
    expect(plan).not.toMatch(/Sort|Seq Scan/);
  });

  it("a claim reads each type's head in the index's order", async () => {
    const worker = { workerId: randomUUID(), jobTypes: ["T0", "T1"], limit: 10 };
    const plan = await planOf(SYSTEM, (tx) => claim(tx, worker));
    expect(plan).toContain("using jobs_claim on jobs");
    expect(plan).not.toContain("Seq Scan");
  });

  it("a claim and the end of an attempt find their jobs by key, also where nearly all that was counted is gone", async () => {
    const fresh = await createTestDatabase();
    const { tenantId: alone } = await createTenant(fresh.database);
    const insert = (count: number) =>
      asSuperuser(
        `insert into jobs (tenant_id, job_type) select '${alone}', 'T1' from generate_series(1, ${count})`,
        fresh.superuserUrl,
      );
    await insert(15_000);
    // Counted while all waited, as before a backlog is canceled.
    await asSuperuser("analyze", fresh.superuserUrl);
    await asSuperuser("update jobs set status = 'canceled'", fresh.superuserUrl);
    await insert(3_000);
    const workerId = randomUUID();
    const ended = { tenantId: alone, id: randomUUID(), workerId, attempt: 1, output: null };
    for (const limit of [1, 100]) {
      const claimed = await planOf(SYSTEM, (tx) => claim(tx, { workerId, jobTypes: ["T1"], limit }), fresh);
      expect(claimed).toContain("using jobs_pkey on jobs");
      expect(claimed).not.toContain("Seq Scan");
      const completed = await planOf(
        SYSTEM,
        (tx) =>
          complete(
            tx,
            Array.from({ length: limit }, () => ended),
          ),
        fresh,
      );
      expect(completed).toContain("using jobs_pkey on jobs");
      expect(completed).not.toContain("Seq Scan");
    }
  });

  it("the tail and a replay read on in the index's order", async () => {
    for (const [tenant, index] of [
      [null, "job_events_tail"],
      [small, "job_events_replay"],
    ] as const) {
      const after = { position: 1n, id: 1n };
      const plan = await planOf({ role: "feed" }, (tx) => readEvents(tx, { after, tenantId: tenant, limit: 500 }));
      expect(plan).toContain(index);
      expect(plan).not.toMatch(/Sort|Seq Scan/);
    }
  });

  it("the head that each transaction begins with is read off the end of the log", async () => {
    const plan = await planOf({ role: "feed" }, (tx) =>
      tx.query("select max(position) from job_events where position < $1", [tx.watermark.toString()]),
    );
    expect(plan).toMatch(/Index Only Scan Backward using job_events_tail/);
  });

  it("what becomes due is found without a look at the rest", async () => {
    const plan = await planOf(SYSTEM, makeDue);
    expect(plan).toMatch(/jobs_waiting_or_running\n.*Index Cond: .*run_at <= now\(\)/);
  });

  it("the event head is read off the index, also by a connection that began while there was nothing", async () => {
    const fresh = await createTestDatabase();
    const client = new pg.Client({ connectionString: fresh.url });
    await client.connect();
    // So often that PostgreSQL keeps its plan.
    for (let n = 0; n < 10; n += 1) await client.query("select event_head(1)");
    const { tenantId: filled } = await createTenant(fresh.database);
    await asSuperuser(
      `insert into jobs (tenant_id, job_type) select '${filled}', 'A' from generate_series(1, 5000)`,
      fresh.superuserUrl,
    );
    await client.query("begin");
    await client.query("select event_head(1000000000000)");
    // Of the settings' one row, too: where scans are switched off, PostgreSQL 14 to 17 take one for costly enough to be compiled.
    const { rows } = await client.query(
      "select relname, seq_scan from pg_stat_xact_user_tables where relname in ('job_events', 'installation') order by 1",
    );
    expect(rows).toEqual(["installation", "job_events"].map((relname) => ({ relname, seq_scan: "0" })));
    await client.end();
  });
});
