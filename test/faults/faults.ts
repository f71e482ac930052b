/** A known fault of job queues and event streams, as it would stand in our source. */
export interface Fault {
  name: string;
  file: string;
  /** The text that goes, and what stands in its place. */
  from: string;
  to: string;
  /** The test file and the test that must fail. */
  caughtBy: [file: string, test: string];
}

/** What docs/reliability.md lists. */
export const FAULTS: readonly Fault[] = [
  {
    name: "cursor by id alone",
    file: "src/feed/read-events.ts",
    from: "where tenant_id = $5 and (position, id) > ($1::bigint, $2::bigint) and position < $3::bigint\norder by position, id limit $4",
    to: "where tenant_id = $5 and id > $2::bigint and $1::bigint + $3::bigint > 0\norder by id limit $4",
    caughtBy: ["test/feed/order.test.ts", "gives an event whose transaction commits after a younger one's"],
  },
  {
    name: "positions read past the watermark",
    file: "src/feed/read-events.ts",
    from: "where tenant_id = $5 and (position, id) > ($1::bigint, $2::bigint) and position < $3::bigint",
    to: "where tenant_id = $5 and (position, id) > ($1::bigint, $2::bigint) and $3::bigint > 0",
    caughtBy: ["test/feed/order.test.ts", "gives an event whose transaction commits after a younger one's"],
  },
  {
    name: "cursor at transaction ids that a crash gives anew",
    file: "src/database/database.ts",
    from: "greatest(event_head(watermark), position_offset + 1)::text as head",
    to: "watermark::text as head",
    caughtBy: ["test/feed/crash.test.ts", "loses no event to transaction ids that a crash"],
  },
  {
    name: "cursor of a part of the log that a failover has lost",
    file: "src/feed/read-events.ts",
    from: "where kept_position < $2::bigint and next_position > $2::bigint",
    to: "where next_position < $2::bigint and next_position > $2::bigint",
    caughtBy: ["test/feed/failover.test.ts", "ends live streams, resumes cursors"],
  },
  {
    name: "no fence on what ends an attempt",
    file: "src/queue/held-job.ts",
    from: '  and jobs.worker_id = given."workerId" and jobs.attempt = given.attempt',
    to: "",
    caughtBy: ["test/queue/interleavings.test.ts", "takes a job from a worker whose late end then changes nothing"],
  },
  {
    name: "a settlement that takes a lost job's end for written",
    file: "src/worker/settler.ts",
    from: "if (status === null) this.alone.push(one);",
    to: 'if (status === null) one.resolve("completed");',
    caughtBy: ["test/worker/settler.test.ts", "refuses what the worker has lost, and writes the others of the group"],
  },
  {
    name: "claims that begin at the same tenant each time",
    file: "src/queue/claim.ts",
    from: "select $5::uuid, 1, 0, 0",
    to: "select nullif($5::uuid, $5::uuid), 1, 0, 0",
    caughtBy: ["test/queue/turns.test.ts", "starts the one job of each of 50 tenants"],
  },
  {
    name: "NOTIFY without polling",
    file: "src/feed/tail.ts",
    from: "await this.pause(POLL_MS);",
    to: "await this.pause(600_000);",
    caughtBy: ["test/feed/feed.test.ts", "finds events without any hint"],
  },
  {
    name: "claims by NOTIFY alone",
    file: "src/worker/loop.ts",
    from: "this.options.intervals.pollMs *",
    to: "600_000 *",
    caughtBy: ["test/worker/claim.test.ts", "finds jobs without any hint"],
  },
  {
    name: "rescue without a guard on the worker's life",
    file: "src/queue/rescue.ts",
    from: "not exists (\n      select from workers w",
    to: "1 > 0 or not exists (\n      select from workers w",
    caughtBy: ["test/queue/model.test.ts", "agrees with a simple model"],
  },
  {
    name: "rescue without a look at its own beats",
    file: "src/worker/maintenance.ts",
    from: "have beaten again.\n          if (unbrokenMs() < intervals.deadMs) return false;",
    to: "have beaten again.\n          void unbrokenMs;",
    caughtBy: ["test/worker/liveness.test.ts", "is not taken for dead by a worker that itself has just come"],
  },
  {
    name: "rescue of a job that has ended meanwhile",
    file: "src/queue/rescue.ts",
    from: "where jobs.status = 'running' and jobs.started_at = held.started_at and (",
    to: "where (",
    caughtBy: ["test/queue/interleavings.test.ts", "leaves alone a job that ends while it looks"],
  },
  {
    name: "unbounded queue of a subscriber",
    file: "src/feed/event-queue.ts",
    from: "if (this.events.length >= this.capacity) this.overflowed = true;",
    to: "if (this.events.length < 0) this.overflowed = true;",
    caughtBy: ["test/feed/feed.test.ts", "ends a subscriber that falls behind"],
  },
];
