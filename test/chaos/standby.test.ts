import { asSuperuser } from "../support/database.js";
import { createCluster, type Cluster } from "../support/cluster.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = await createCluster();
});

afterEach(() => cluster.remove());

const TOLD = `select (select system_identifier::text from pg_control_system()) as identifier,
  (select timeline_id from pg_control_checkpoint()) as timeline, pg_is_in_recovery() as "isStandby"`;

it("loses exactly what is committed after the standby was held back, at each failover", async () => {
  const ask = (sql: string): Promise<unknown[]> => asSuperuser(sql, cluster.superuserUrl);
  const [{ identifier } = { identifier: "" }] = (await ask(TOLD)) as { identifier: string }[];
  await ask("create table things (n int)");
  for (const round of [1, 2]) {
    await ask(`insert into things values (${round * 10})`);
    const standby = await cluster.addStandby();
    await ask(`insert into things values (${round * 10 + 1})`);
    await standby.catchUp();
    await standby.holdBack();
    await ask(`insert into things values (${round * 10 + 2})`);
    await cluster.failOver();
    await ask("checkpoint");
    expect(await ask(TOLD)).toEqual([{ identifier, timeline: round + 1, isStandby: false }]);
  }
  expect(await ask("select n from things order by n")).toEqual([10, 11, 20, 21].map((n) => ({ n })));
  await cluster.restart("crash");
  expect(await ask("select count(*)::int as n from things")).toEqual([{ n: 4 }]);
});
