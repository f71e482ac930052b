import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import { startApi } from "../support/api.js";
import { createCluster } from "../support/cluster.js";
import { silent } from "../support/database.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { atEnd } from "../support/use.js";

it("leaves a standby that it has been connected with: 503 meanwhile, and no connection to it is kept", async () => {
  const cluster = await createCluster();
  atEnd(() => cluster.remove());
  const proxy = await openDatabaseProxy(cluster.url);
  atEnd(() => proxy.close());
  const database = await Database.connect({ url: proxy.url, poolSize: 2, log: silent });
  atEnd(() => database.close());
  await migrate(database);
  const own = { url: proxy.url, superuserUrl: cluster.superuserUrl, database };
  const api = await startApi({ notify: false }, own);
  const member = await api.member();
  const list = () => fetch(`${api.url}/v1/jobs/list`, { headers: member.headers });
  const create = () =>
    fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body: '{"jobType":"A"}' });
  expect((await create()).status).toBe(200);
  const standby = await cluster.addStandby();
  await standby.catchUp();

  proxy.set("away");
  proxy.lead(standby.superuserUrl);
  proxy.set("there");
  for (const ask of [list, create, list, create]) {
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("2");
  }
  expect((await fetch(`${api.url}/readyz`)).status).toBe(503);

  // Whoever had kept a connection would still meet the standby, which is as well as before.
  proxy.lead(cluster.url);
  expect((await create()).status).toBe(200);
  expect((await list()).status).toBe(200);
});
