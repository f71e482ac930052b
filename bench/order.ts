import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { comparePositions, type Position } from "../dist/feed/position.js";
import { readEvents } from "../dist/feed/read-events.js";
import { openService } from "./service.ts";

/*
 * A reader of the feed beside writers whose transactions take their ids early, write late, and commit in whatever order.
 * It must get every event once, each job's in version order, and never one before a place that it has passed. A reader
 * that pages by id alone goes beside it, and counts what it would have missed.
 */
const { values } = parseArgs({ options: { events: { type: "string" } } });
const EVENTS = Number(values.events ?? 1_000_000);
const WRITERS = 7;
const BATCH = 500;

const service = await openService();
const { database, viewer } = service;
const session = { role: "worker", actor: "system" } as const;
let written = 0;

async function write(): Promise<void> {
  while (written < EVENTS) {
    written += 2 * BATCH;
    await database.transaction(session, async (tx) => {
      await tx.query("select pg_current_xact_id()");
      await sleep(Math.random() * 30);
      const made = await tx.query<{ id: string }>(
        "insert into jobs (tenant_id, job_type) select $1, 'ORDER' from generate_series(1, $2::int) returning id",
        [viewer.tenantId, BATCH],
      );
      await sleep(Math.random() * 30);
      await tx.query("update jobs set status = 'canceled' where tenant_id = $1 and id = any($2::uuid[])", [
        viewer.tenantId,
        made.map(({ id }) => id),
      ]);
    });
  }
}

const begun = performance.now();
let writing = true;
const writers = Promise.all(Array.from({ length: WRITERS }, write)).finally(() => (writing = false));

const versions = new Map<string, number>();
let after: Position = { position: 0n, id: 0n };
let read = 0;
let disordered = 0;
async function readAll(): Promise<void> {
  for (;;) {
    const last = !writing;
    const events = await database.transaction({ role: "feed" }, (tx) =>
      readEvents(tx, { after, tenantId: viewer.tenantId, limit: 5_000 }),
    );
    for (const event of events) {
      const known = versions.get(event.jobId) ?? 0;
      if (comparePositions(event, after) <= 0 || event.version !== known + 1) disordered += 1;
      versions.set(event.jobId, event.version);
      after = event;
    }
    read += events.length;
    if (events.length === 0 && last) return;
    if (events.length === 0) await sleep(5);
  }
}

let lastId = 0n;
let readById = 0;
async function readAllById(): Promise<void> {
  for (;;) {
    const last = !writing;
    const [row] = await database.transaction({ role: "feed" }, (tx) =>
      tx.query<{ n: number; id: string | null }>(
        "select count(*)::int as n, max(id) as id from (select id from job_events where id > $1 order by id limit 5000) e",
        [lastId.toString()],
      ),
    );
    readById += row?.n ?? 0;
    lastId = BigInt(row?.id ?? lastId);
    if (row?.n === 0 && last) return;
    if (row?.n === 0) await sleep(5);
  }
}

// Without the index the reader by id would only be slow, and miss less.
await service.superuser("create index on job_events (id)");
await Promise.all([writers, readAll(), readAllById()]);
const [row] = await database.transaction({ role: "feed" }, (tx) =>
  tx.query<{ n: number }>("select count(*)::int as n from job_events"),
);
const total = row?.n ?? 0;
const seconds = Math.round((performance.now() - begun) / 1000);
console.table([
  { reader: "the feed's", events: total, lost: total - read, disordered, seconds },
  { reader: "by id alone", events: total, lost: total - readById, disordered: "–", seconds },
]);
await service.close();
process.exit(total === read && disordered === 0 ? 0 : 1);
