import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Position } from "../../src/feed/position.js";
import { readEvents } from "../../src/feed/read-events.js";
import type { JobEvent } from "../../src/queue/job-event.js";
import { createTenant, useDatabase, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

const own = useDatabase({ per: "test" });
let tenantId: string;
beforeEach(async () => {
  ({ tenantId } = await createTenant(own.database));
});

/** A connection held open, as a program or a person at work. */
async function begin(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: own.superuserUrl });
  atEnd(() => client.end());
  await client.connect();
  await client.query("begin");
  return client;
}

const insert = (id: string) => `insert into jobs (tenant_id, id, job_type) values ('${tenantId}', '${id}', 'A')`;
const setStatus = (id: string, status: string) => `update jobs set status = '${status}' where id = '${id}'`;

/**
 * A reader that goes on from the last event it was given. It may have to ask again: the watermark is the cluster's, and
 * other tests write in it.
 */
async function readAll(read: () => Promise<JobEvent[]>, count: number): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  await until(async () => events.push(...(await read())) >= count, { what: `${count} events` });
  return events;
}

function reader(): () => Promise<JobEvent[]> {
  let after: Position = { position: 0n, id: 0n };
  return async () => {
    const events = await own.database.transaction({ role: "feed" }, (tx) =>
      readEvents(tx, { after, tenantId, limit: 1000 }),
    );
    after = events.at(-1) ?? after;
    return events;
  };
}

const names = (events: JobEvent[], ids: Record<string, string>) =>
  events.map(({ jobId, version }) => `${Object.keys(ids).find((name) => ids[name] === jobId)}${version}`);

describe("the order of events", () => {
  it("gives an event whose transaction commits after a younger one's", async () => {
    const ids = { a: randomUUID(), b: randomUUID() };
    const read = reader();
    const [early, late] = [await begin(), await begin()];
    await early.query(insert(ids.a));
    await late.query(insert(ids.b));
    await late.query("commit");
    // A reader by id alone would take b now, and never see a.
    expect(names(await read(), ids)).toEqual([]);
    await early.query("commit");
    expect(names(await readAll(read, 2), ids)).toEqual(["a1", "b1"]);
    expect(await read()).toEqual([]);
  });

  it("keeps a job's versions in order when a transaction with an early id changes it late, a third holding the watermark", async () => {
    const ids = { a: randomUUID(), other: randomUUID() };
    const read = reader();
    const early = await begin();
    await early.query("select pg_current_xact_id()");
    await own.database.transaction(SYSTEM, (tx) => tx.query(insert(ids.a)));
    const holder = await begin();
    await holder.query("select pg_current_xact_id()");
    await early.query(setStatus(ids.a, "canceled"));
    await early.query("commit");
    await own.database.transaction(SYSTEM, (tx) => tx.query(insert(ids.other)));
    const before = names(await read(), ids);
    await holder.query("commit");
    const all = [...before, ...names(await readAll(read, 3 - before.length), ids)];
    expect(all).toEqual(["a1", "a2", "other1"]);
  });

  it("loses nothing and repeats nothing among 60 transactions that commit in random order while a reader reads", async () => {
    const ids = Array.from({ length: 60 }, () => randomUUID());
    const read = reader();
    const seen: JobEvent[] = [];
    let writing = true;
    const reading = (async () => {
      while (writing) seen.push(...(await read()));
    })();
    for (let batch = 0; batch < 6; batch += 1) {
      const open = await Promise.all(
        ids.slice(batch * 10, batch * 10 + 10).map(async (id) => {
          const client = await begin();
          await client.query(insert(id));
          await client.query(setStatus(id, "canceled"));
          return client;
        }),
      );
      for (const client of open.toSorted(() => Math.random() - 0.5)) await client.query("commit");
      await Promise.all(open.map((client) => client.end()));
    }
    writing = false;
    await reading;
    seen.push(...(await readAll(read, 2 * ids.length - seen.length)));
    expect(seen.map(({ jobId, version }) => `${jobId} ${version}`).toSorted()).toEqual(
      ids.flatMap((id) => [`${id} 1`, `${id} 2`]).toSorted(),
    );
    for (const id of ids)
      expect(seen.filter(({ jobId }) => jobId === id).map(({ version }) => version)).toEqual([1, 2]);
  });
});
