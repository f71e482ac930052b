import { pino } from "pino";
import pg from "pg";
import { useApi, useMember } from "../support/api.js";
import { useDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

interface Line {
  level: number;
  msg: string;
  lagSeconds: number;
  holders?: { pid: number | null; [key: string]: unknown }[];
}

const lines: Line[] = [];
const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
const api = useApi({}, { log });
const member = useMember(api);
const elsewhere = useDatabase();

async function gauge(name: string): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

const createJob = () =>
  fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body: '{"jobType":"LATE"}' });

it("shows how late the feed is, and names who holds it back, in another database and of another login, too", async () => {
  const holder = new pg.Client({ connectionString: elsewhere.superuserUrl, application_name: "ledger import" });
  await holder.connect();
  await holder.query("begin");
  const { rows } = await holder.query<{ pid: number }>("select pg_current_xact_id(), pg_backend_pid() as pid");
  const pid = rows[0]?.pid ?? 0;
  const watcher = watch(api.wsUrl, member);
  await until(async () => (await gauge("atlas_subscriptions")) === 1);
  await createJob();

  await until(async () => (await gauge("atlas_feed_lag_seconds")) > 2);
  await until(async () => (await gauge("atlas_feed_watermark_age_seconds")) > 2);
  expect(watcher.seen).toEqual([]);
  // Other tests' transactions, on the same server, may be older for a while.
  const line = await until(() => lines.find(({ holders }) => holders?.some((one) => one.pid === pid)));
  expect(line.level).toBe(40);
  expect(line.lagSeconds).toBeGreaterThan(2);
  expect(line.holders).toEqual([
    expect.objectContaining({
      pid,
      database: new URL(elsewhere.superuserUrl).pathname.slice(1),
      user: "postgres",
      applicationName: "ledger import",
    }),
  ]);
  expect(JSON.stringify(line)).not.toContain("pg_current_xact_id");

  await holder.query("rollback");
  await holder.end();
  await watcher.count(1);
  await until(async () => (await gauge("atlas_feed_lag_seconds")) === 0);
  await until(() => lines.find(({ msg }) => msg === "the feed is held back no longer"));
  watcher.stop();
  await watcher.client.dispose();
});

it("names a session of its own login with its times", async () => {
  const holder = new pg.Client({ connectionString: elsewhere.url });
  await holder.connect();
  await holder.query("begin");
  const { rows } = await holder.query<{ pid: number }>("select pg_current_xact_id(), pg_backend_pid() as pid");
  // A transaction that no other has followed holds nothing back, and is not named.
  await createJob();
  const line = await until(() => lines.find(({ holders }) => holders?.some(({ pid }) => pid === rows[0]?.pid)));
  expect(line.holders?.[0]).toMatchObject({
    state: "idle in transaction",
    transactionSeconds: expect.any(Number),
    querySeconds: expect.any(Number),
  });
  await holder.end();
});
