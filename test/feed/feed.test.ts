import { openHints } from "../../src/database/hints.js";
import { EndedStream, ExpiredPosition } from "../../src/feed/endings.js";
import { type EventStream, Feed } from "../../src/feed/feed.js";
import { comparePositions, startOf } from "../../src/feed/position.js";
import { Tail } from "../../src/feed/tail.js";
import type { JobEvent } from "../../src/queue/job-event.js";
import { prune } from "../../src/queue/prune.js";
import { asSuperuser, createTenant, useDatabase, silent, SYSTEM, insertJobs } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

const own = useDatabase({ per: "test" });
let tenantId: string;
let other: string;
let tail: Tail;
let feed: Feed;
beforeEach(async () => {
  ({ tenantId } = await createTenant(own.database));
  ({ tenantId: other } = await createTenant(own.database));
  tail = new Tail(own.database, openHints(null, silent), silent);
  atEnd(() => tail.close());
  feed = new Feed(own.database, tail);
});

const all = () => true;
const insert = (count: number, tenant = tenantId) => insertJobs(own.database, tenant, count);

async function take(stream: EventStream, count: number): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  while (events.length < count) {
    const { done, value } = await stream.next();
    if (done === true) break;
    events.push(value);
  }
  return events;
}

const head = () => own.database.transaction({ role: "feed" }, (tx) => Promise.resolve(startOf(tx.watermark)));

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

  it("replays after a position, and goes on live without a hole or a repetition", async () => {
    const after = await head();
    await insert(1200);
    const stream = await feed.subscribe({ tenantId, after, accepts: all });
    const replayed = await take(stream, 1100);
    await insert(300);
    const events = [...replayed, ...(await take(stream, 400))];
    expect(new Set(events.map(({ jobId }) => jobId)).size).toBe(1500);
    await stream.return?.();
  });

  it("resumes after the position of any event", async () => {
    const after = await head();
    await insert(20);
    const first = await feed.subscribe({ tenantId, after, accepts: all });
    const events = await take(first, 20);
    await first.return?.();
    const second = await feed.subscribe({ tenantId, after: events[11]!, accepts: all });
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
    const after = await head();
    await insert(1200);
    const stream = await feed.subscribe({ tenantId, after, accepts: all });
    await take(stream, 1);
    await asSuperuser("update job_events set occurred_at = now() - interval '40 days'", own.superuserUrl);
    while ((await own.database.transaction(SYSTEM, (tx) => prune(tx, 30))).more);
    const failure = await take(stream, 1200).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ExpiredPosition);
    expect(failure).toMatchObject({ gap: "pruned" });
  });

  it("gives no subscriber another tenant's events", async () => {
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await insert(50, other);
    await insert(1);
    expect((await take(stream, 1)).map((event) => event.tenantId)).toEqual([tenantId]);
    await stream.return?.();
  });

  it("ends a subscriber that falls behind with its last position, which loses nothing, and leaves its neighbour alone", async () => {
    const after = await head();
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
    expect(failure).toBeInstanceOf(EndedStream);
    const { why, last } = failure as EndedStream;
    expect(why).toBe("slow consumer");
    const resumed = await feed.subscribe({ tenantId, after: last, accepts: all });
    const missed = unharmed.filter((event) => comparePositions(event, last) > 0);
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

  it("refuses a position older than the events kept, and says where the log now ends", async () => {
    await insert(3);
    const stream = await feed.subscribe({ tenantId, after: null, accepts: all });
    await stream.return?.();
    await asSuperuser("update job_events set occurred_at = now() - interval '31 days'", own.superuserUrl);
    // Only final positions are pruned, and other tests' transactions are open in the same cluster.
    let pruned = 0;
    await until(async () => {
      pruned += (await own.database.transaction(SYSTEM, (tx) => prune(tx, 30))).events;
      return pruned === 3;
    });
    const refused = await feed
      .subscribe({ tenantId, after: { position: 1n, id: 0n }, accepts: all })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: "ExpiredPosition", gap: "pruned", head: { position: expect.any(BigInt) } });
    expect(tail.size).toBe(0);
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
