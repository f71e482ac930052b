import { spawnSync } from "node:child_process";
import { Database } from "../../src/database/database.js";
import { openHints } from "../../src/database/hints.js";
import { asSuperuser, useDatabase, silent, SYSTEM } from "../support/database.js";
import { type DatabaseProxy, openDatabaseProxy } from "../support/database-proxy.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

const POOL_SIZE = 3;
const ANSWER_TIMEOUT_MS = 300;

const own = useDatabase({ per: "test" });
let proxy: DatabaseProxy;
let database: Database;
beforeEach(async () => {
  proxy = await openDatabaseProxy(own.url);
  atEnd(() => proxy.close());
  database = await Database.connect({
    url: proxy.url,
    poolSize: POOL_SIZE,
    log: silent,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
  });
  atEnd(() => database.close());
});

const run = (sql: string) => database.transaction(SYSTEM, (tx) => tx.query(sql));
const answers = () => run("select 1").then(() => true);

describe("a transaction", () => {
  it("cancels a statement that takes too long, and keeps its connection", async () => {
    const [before] = (await run("select pg_backend_pid() as pid")) as { pid: number }[];
    await expect(run("select pg_sleep(30)")).rejects.toMatchObject({ code: "unavailable" });
    expect(await run("select pg_backend_pid() as pid")).toEqual([before]);
  });

  it("is ended when its process does nothing with it, since it holds back every tenant's feed", async () => {
    const holders = () =>
      asSuperuser(
        "select pid from pg_stat_activity where datname = current_database() and backend_xid is not null",
        own.superuserUrl,
      );
    const frozen = Promise.withResolvers<void>();
    const held = database.transaction(SYSTEM, async (tx) => {
      await tx.query("select pg_current_xact_id()");
      await frozen.promise;
      await tx.query("select 1");
    });
    held.catch(() => undefined);
    await until(async () => (await holders()).length === 1);
    await until(async () => (await holders()).length === 0);
    frozen.resolve();
    await expect(held).rejects.toMatchObject({ code: "unavailable" });
    await Promise.all(Array.from({ length: POOL_SIZE }, answers));
  });

  it("gives up a server that hangs, on as many connections as the pool has, and works once it answers again", async () => {
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(Array.from({ length: POOL_SIZE }, answers));
      proxy.set("hang");
      const asked = Array.from({ length: POOL_SIZE }, () => answers().catch((error: unknown) => error));
      for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ code: "unavailable" });
      proxy.set("there");
      await until(() => answers().catch(() => false));
    }
  });

  it("does not count the time that a connection lies idle in the pool", async () => {
    const [before] = (await run("select pg_backend_pid() as pid")) as { pid: number }[];
    // What passes here is what must be outlasted: there is no signal for nothing happening.
    await new Promise((resolve) => setTimeout(resolve, 3 * ANSWER_TIMEOUT_MS));
    expect(await run("select pg_backend_pid() as pid")).toEqual([before]);
  });
});

it("begins on another connection when the server has ended the idle one, and this process has not heard of it", async () => {
  const pidOf = async () =>
    (await own.database.queryAsLogin<{ pid: number }>("select pg_backend_pid() as pid"))[0]?.pid;
  const before = await pidOf();
  const end = `import pg from "pg";
    const client = new pg.Client({ connectionString: process.argv[1] });
    await client.connect();
    await client.query("select pg_terminate_backend($1, 5000)", [process.argv[2]]);
    await client.end();`;
  // A process that waits hears nothing.
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", end, own.superuserUrl, String(before)]);
  expect(ended.status).toBe(0);
  const after = await pidOf();
  expect(after).toEqual(expect.any(Number));
  expect(after).not.toBe(before);
});

it("lets what the owner does, such as migrations, take as long as it takes", async () => {
  const slow = database.patiently((orm) =>
    orm.em.fork().execute(`select 'done' as work from pg_sleep(${(4 * ANSWER_TIMEOUT_MS) / 1000})`),
  );
  expect(await slow).toEqual([{ work: "done" }]);
});

describe("hints", () => {
  it("are closed also while the server hangs", async () => {
    const connected = Promise.withResolvers<void>();
    const hints = openHints(proxy.url, silent);
    // Told to whoever listens as soon as the connection does.
    hints.on("events", connected.resolve);
    await connected.promise;
    proxy.set("hang");
    await expect(hints.close()).resolves.toBeUndefined();
  });
});
