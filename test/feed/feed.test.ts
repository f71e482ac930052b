import { openHints } from "../../src/database/hints.js";
import { readCursorKey } from "../../src/database/installation.js";
import { Cursors } from "../../src/feed/cursors.js";
import { type EventStream, Feed } from "../../src/feed/feed.js";
import { startOf } from "../../src/feed/position.js";
import { Tail } from "../../src/feed/tail.js";
import type { JobEvent } from "../../src/queue/job-event.js";
import { prune } from "../../src/queue/prune.js";
import {
  asSuperuser,
  createTenant,
  createTestDatabase,
  silent,
  SYSTEM,
  type TestDatabase,
} from "../support/database.js";
import { until } from "../support/until.js";

let own: TestDatabase;
let tenantId: string;
let other: string;
let cursors: Cursors;
let tail: Tail;
let feed: Feed;
beforeEach(async () => {
  own = await createTestDatabase();
  ({ tenantId } = await createTenant(own.database));
  ({ tenantId: other } = await createTenant(own.database));
  cursors = new Cursors(await readCursorKey(own.database));
  tail = new Tail(own.database, openHints(null, silent), silent);
  feed = new Feed(own.database, tail, cursors);
});
afterEach(async () => {
  await tail.close();
  await own.drop();
});

const all = () => true;
const insert = (count: number, tenant = tenantId) =>
  own.database.transaction(SYSTEM, (tx) =>
    tx.query("insert into jobs (tenant_id, job_type) select $1, 'A' from generate_series(1, $2::int)", [tenant, count]),
  );

async function take(stream: EventStream, count: number): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  while (events.length < count) {
    const { done, value } = await stream.next();
    if (done === true) break;
    events.push(value);
  }
  return events;
}

const headCursor = () =>
  own.database.transaction({ role: "feed" }, (tx) => Promise.resolve(cursors.ofEvent(tenantId, startOf(tx.watermark))));

describe("the feed", () => {
  it("gives what happens after the subscription began", async () => {
    await insert(1);
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await insert(2);
    const events = await take(stream, 2);
    expect(events.map(({ status, version }) => [status, version])).toEqual([
      ["queued", 1],
      ["queued", 1],
    ]);
    await stream.return?.();
  });

  it("replays after a cursor, and goes on live without a hole or a repetition", async () => {
    const after = await headCursor();
    await insert(1200);
    const stream = await feed.subscribe({ tenantId, after, accepts: all });
    const replayed = await take(stream, 1100);
    await insert(300);
    const events = [...replayed, ...(await take(stream, 400))];
    expect(new Set(events.map(({ jobId }) => jobId)).size).toBe(1500);
    await stream.return?.();
  });

  it("resumes after the cursor of any event", async () => {
    const after = await headCursor();
    await insert(20);
    const first = await feed.subscribe({ tenantId, after, accepts: all });
    const events = await take(first, 20);
    await first.return?.();
    const second = await feed.subscribe({ tenantId, after: cursors.ofEvent(tenantId, events[11]!), accepts: all });
    expect((await take(second, 8)).map(({ id }) => id)).toEqual(events.slice(12).map(({ id }) => id));
    await second.return?.();
  });

  it("finds events without any hint", async () => {
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    // The second event comes from the tail: the first may still be read from the log.
    for (let round = 0; round < 2; round += 1) {
      await insert(1);
      expect(await take(stream, 1)).toHaveLength(1);
    }
    await stream.return?.();
  });

  it("says so when retention passes a reader, instead of going on after the gap", async () => {
    const after = await headCursor();
    await insert(1200);
    const stream = await feed.subscribe({ tenantId, after, accepts: all });
    await take(stream, 1);
    await asSuperuser("update job_events set occurred_at = now() - interval '40 days'", own.superuserUrl);
    while ((await own.database.transaction(SYSTEM, (tx) => prune(tx, 30))).more);
    await expect(take(stream, 1200)).rejects.toMatchObject({
      code: "cursor_expired",
      extensions: { headCursor: expect.any(String) },
    });
  });

  it("gives no subscriber another tenant's events", async () => {
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await insert(50, other);
    await insert(1);
    expect((await take(stream, 1)).map((event) => event.tenantId)).toEqual([tenantId]);
    await stream.return?.();
  });

  it("ends a subscriber that falls behind with its last cursor, which loses nothing, and leaves its neighbour alone", async () => {
    const after = await headCursor();
    const slow = await feed.subscribe({ tenantId, after, accepts: all });
    const quick = await feed.subscribe({ tenantId, after, accepts: all });
    const unharmed: JobEvent[] = [];
    // The second event comes from the tail: while it replays, a subscriber cannot fall behind.
    for (let round = 0; round < 2; round += 1) {
      await insert(1);
      await take(slow, 1);
      unharmed.push(...(await take(quick, 1)));
    }
    const reading = take(quick, 1500);
    // More in one tick than a queue holds.
    await insert(1500);
    unharmed.push(...(await reading));
    const failure = await take(slow, 1500).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "slow_consumer", extensions: { lastCursor: expect.any(String) } });
    const lastCursor = (failure as { extensions: { lastCursor: string } }).extensions.lastCursor;
    const last = cursors.readEvent(tenantId, lastCursor);
    const resumed = await feed.subscribe({ tenantId, after: lastCursor, accepts: all });
    const missed = unharmed.filter(
      ({ position, id }) => position > last.position || (position === last.position && id > last.id),
    );
    expect((await take(resumed, missed.length)).map(({ id }) => id)).toEqual(missed.map(({ id }) => id));
    expect(unharmed).toHaveLength(1502);
    await Promise.all([quick.return?.(), resumed.return?.()]);
    expect(tail.size).toBe(0);
  });

  it("ends a stream at once, also while it waits", async () => {
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    const waiting = stream.next();
    await stream.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(tail.size).toBe(0);
  });

  it("refuses a cursor that is not its own, and another tenant's", async () => {
    const cursor = await headCursor();
    const forged = `${cursor.slice(0, -1)}${cursor.endsWith("A") ? "B" : "A"}`;
    for (const [tenant, after] of [
      [tenantId, forged],
      [tenantId, ""],
      [tenantId, "x".repeat(5000)],
      [other, cursor],
    ] as const) {
      await expect(feed.subscribe({ tenantId: tenant, after, accepts: all })).rejects.toMatchObject({
        code: "invalid_cursor",
      });
    }
    expect(tail.size).toBe(0);
  });

  it("refuses a cursor older than the events kept, and says where the log now ends", async () => {
    await insert(3);
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await stream.return?.();
    const old = cursors.ofEvent(tenantId, { position: 1n, id: 0n });
    await asSuperuser("update job_events set occurred_at = now() - interval '31 days'", own.superuserUrl);
    // Only final positions are pruned, and other tests' transactions are open in the same cluster.
    let pruned = 0;
    await until(async () => {
      pruned += (await own.database.transaction(SYSTEM, (tx) => prune(tx, 30))).events;
      return pruned === 3;
    });
    const refused = await feed.subscribe({ tenantId, after: old, accepts: all }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "cursor_expired", extensions: { headCursor: expect.any(String) } });
  });

  it("carries on after its connections were cut", async () => {
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      own.superuserUrl,
    );
    await asSuperuser(`insert into jobs (tenant_id, job_type) values ('${tenantId}', 'A')`, own.superuserUrl);
    expect(await take(stream, 1)).toHaveLength(1);
    await stream.return?.();
  });
});
