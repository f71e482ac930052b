import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type EmbeddedDatabase, openEmbeddedDatabase } from "../../dist/database/embedded/embedded.js";
import { readInstance } from "../../dist/database/embedded/instance.js";
import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import { startApi } from "../support/api.js";
import { useDatabase, silent, SYSTEM, insertJobs } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { atEnd } from "../support/use.js";
import { watch } from "../support/watch.js";

/** Parents before children. */
const TABLES = ["tenants", "tenant_members", "jobs", "job_events", "job_counts", "daily_usage", "installation"];

const own = useDatabase();
let dataDir: string;
let other: EmbeddedDatabase;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "atlas-restore-"));
  atEnd(() => rm(dataDir, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 }));
  await chmod(dataDir, 0o755);
  other = await openEmbeddedDatabase(dataDir, silent);
  atEnd(() => other.close());
});

/** Moves every row as a dump does that is restored: with triggers off, and the sequences where they stood. */
async function restore(from: string, to: string): Promise<void> {
  const [source, target] = [from, to].map((connectionString) => new pg.Client({ connectionString }));
  await Promise.all([source!.connect(), target!.connect()]);
  await target!.query("set session_replication_role = replica");
  for (const table of TABLES) {
    await target!.query(`delete from ${table}`);
    const { rows } = await source!.query<{ row: unknown }>(`select to_jsonb(t) as row from ${table} t`);
    await target!.query(
      `insert into ${table} overriding system value select * from jsonb_populate_recordset(null::${table}, $1)`,
      [JSON.stringify(rows.map(({ row }) => row))],
    );
  }
  await target!.query(
    "select setval(pg_get_serial_sequence('job_events', 'id'), (select max(id) from job_events)), setval(pg_get_serial_sequence('job_counts', 'id'), (select max(id) from job_counts))",
  );
  await Promise.all([source!.end(), target!.end()]);
}

it("keeps cursors and their order when a dump is restored into another, younger server", async () => {
  const api = await startApi({}, own);
  const member = await api.member();
  // The old server has come far: its transaction ids are beyond the new one's.
  for (let n = 0; n < 50; n += 1)
    await own.database.transaction(SYSTEM, (tx) => tx.query("select pg_current_xact_id()"));
  const { eventCursor } = await ask<{ eventCursor: string }>(api, member, "{ jobs { eventCursor } }");
  await insertJobs(own.database, member.tenantId, 3, "BEFORE");
  const before = watch(api.wsUrl, member, { after: eventCursor });
  const seen = (await before.count(3)).map(({ cursor }) => cursor);
  before.stop();
  await api.close();

  const fresh = await Database.connect({ url: other.url, poolSize: 2, log: silent });
  await migrate(fresh);
  await fresh.close();
  const superuserUrl = (await readInstance(join(dataDir, "postgres")))?.superuserUrl ?? "";
  const databaseName = new URL(other.url).pathname;
  await restore(own.superuserUrl, Object.assign(new URL(superuserUrl), { pathname: databaseName }).href);

  const database = await Database.connect({ url: other.url, poolSize: 5, log: silent });
  await database.adopt();
  const moved = await startApi({}, { ...own, url: other.url, database });
  const id = randomUUID();
  await database.transaction(SYSTEM, (tx) =>
    tx.query("insert into jobs (tenant_id, id, job_type) values ($1, $2, 'AFTER')", [member.tenantId, id]),
  );
  await database.transaction(SYSTEM, (tx) => tx.query("update jobs set status = 'canceled' where job_type = 'BEFORE'"));
  const resumed = watch(moved.wsUrl, member, { after: seen[0] ?? "" });
  const changes = await resumed.count(6);
  resumed.stop();
  // The two old ones that were left, then what happened on the new server.
  expect(changes.slice(0, 2).map(({ cursor }) => cursor)).toEqual(seen.slice(1));
  expect(changes.slice(2).map(({ version, status }) => [version, status])).toEqual([
    [1, "QUEUED"],
    [2, "CANCELED"],
    [2, "CANCELED"],
    [2, "CANCELED"],
  ]);
  expect(changes[2]?.jobId).toBe(id);
  await moved.close();
  await database.close();
});
