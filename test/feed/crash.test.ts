import { randomUUID } from "node:crypto";
import { Database } from "../../src/database/database.js";
import { openHints } from "../../src/database/hints.js";
import { migrate } from "../../src/database/migrate.js";
import { Feed } from "../../src/feed/feed.js";
import { startOf } from "../../src/feed/position.js";
import { Tail } from "../../src/feed/tail.js";
import { type Cluster, createCluster } from "../support/cluster.js";
import { asSuperuser, createTenant, silent, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

let cluster: Cluster;
let database: Database;
beforeAll(async () => {
  cluster = await createCluster();
  atEnd(() => cluster.remove());
  // What is not flushed by a commit stays in memory, so that a crash forgets it.
  await asSuperuser("alter system set wal_writer_delay = '10s'", cluster.superuserUrl);
  await cluster.restart("fast");
  database = await Database.connect({ url: cluster.url, poolSize: 5, log: silent });
  atEnd(() => database.close());
  await migrate(database);
});

it("loses no event to transaction ids that a crash of PostgreSQL gives anew", async () => {
  const { tenantId } = await createTenant(database);
  const tail = new Tail(database, openHints(null, silent), silent);
  atEnd(() => tail.close());
  const feed = new Feed(database, tail);
  const create = (id: string) =>
    database.transaction(SYSTEM, (tx) =>
      tx.query("insert into jobs (tenant_id, id, job_type) values ($1, $2, 'A') returning position", [tenantId, id]),
    );
  await create(randomUUID());

  // Ids of transactions whose ends need not be durable: a limiter's counts are unlogged.
  for (let n = 0; n < 20; n += 1) {
    await database.transaction(SYSTEM, (tx) => tx.query("insert into rate_limits (key) values ($1)", [`k${n}`]));
  }
  const { watermark, head } = await database.transaction({ role: "feed" }, (tx) =>
    Promise.resolve({ watermark: tx.watermark, head: startOf(tx.head) }),
  );
  const live = await feed.subscribe({ tenantId, after: null, accepts: () => true });
  const first = live.next();
  await cluster.restart("crash");

  const id = randomUUID();
  const [created] = (await until(() => create(id).catch(() => null), { boundMs: 30_000 })) as { position: string }[];
  // Else nothing was shown.
  expect(BigInt(created?.position ?? 0)).toBeLessThan(watermark);
  expect((await first).value).toMatchObject({ jobId: id });
  const resumed = await feed.subscribe({ tenantId, after: head, accepts: () => true });
  expect((await resumed.next()).value).toMatchObject({ jobId: id });
  await Promise.all([live.return?.(), resumed.return?.()]);
});
