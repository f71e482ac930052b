import { randomUUID } from "node:crypto";
import { Database } from "../../src/database/database.js";
import { readCursorKey } from "../../src/database/installation.js";
import { migrate } from "../../src/database/migrate.js";
import { Cursors } from "../../src/services/cursors.js";
import { EVENT_PLACE } from "../../src/services/event-place.js";
import { markComplete } from "../../src/queue/mark-complete.js";
import { startApi, type TestApi, type TestMember } from "../support/api.js";
import { type Cluster, createCluster } from "../support/cluster.js";
import { asSuperuser, silent, SYSTEM } from "../support/database.js";
import { ask, send } from "../support/graphql.js";
import type { Standby } from "../support/standby.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { watch } from "../support/watch.js";

const LIST = "{ jobs { totalCount eventCursor } }";
const EVENTS = "query ($after: EventCursor) { jobEvents(first: 200, after: $after) { nodes { jobId version } } }";
const CREATE = `mutation { createJob(input: {jobType: "A"}) { job { id } eventCursor } }`;

let cluster: Cluster;
let database: Database;
let api: TestApi;
let member: TestMember;
let standby: Standby;
beforeEach(async () => {
  cluster = await createCluster();
  atEnd(() => cluster.remove());
  database = await Database.connect({ url: cluster.url, poolSize: 5, log: silent });
  atEnd(() => database.close());
  await migrate(database);
  api = await startApi({}, { ...cluster, database });
  member = await api.member();
  standby = await cluster.addStandby();
});

const listCursor = async (): Promise<string> => (await ask<{ eventCursor: string }>(api, member, LIST)).eventCursor;

/** Creates jobs over the database, each in a transaction of its own. @returns their ids. */
async function create(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  for (const id of ids) {
    await database.transaction(SYSTEM, (tx) =>
      tx.query("insert into jobs (tenant_id, id, job_type) values ($1, $2, 'A')", [member.tenantId, id]),
    );
  }
  return ids;
}

/** The jobs whose creation a new subscriber sees after a cursor. */
async function seenAfter(after: string, count: number): Promise<string[]> {
  const watcher = watch(api.wsUrl, member, { after });
  const seen = await watcher.count(count);
  watcher.stop();
  return seen.map(({ jobId }) => jobId);
}

/** How a subscriber is refused with a cursor. */
async function refusalOf(after: string): Promise<Record<string, unknown>> {
  const watcher = watch(api.wsUrl, member, { after });
  const error = await until(() => watcher.errors[0], { what: "a refusal" });
  watcher.stop();
  expect(watcher.seen).toEqual([]);
  return error.extensions;
}

describe("a failover to a replica that has lost the last changes", () => {
  it("ends live streams, resumes cursors of what is kept without a hole, and expires those of what is lost", async () => {
    const oldest = await listCursor();
    const kept = await create(5);
    await standby.catchUp();
    const newest = await listCursor();
    await standby.holdBack();

    const live = watch(api.wsUrl, member, { after: newest });
    const lost = await create(30);
    const cursors = (await live.count(30)).map(({ cursor }) => cursor);
    expect(live.seen.map(({ jobId }) => jobId)).toEqual(lost);
    const listed = await listCursor();
    await cluster.failOver();

    const ended = await until(() => live.errors[0], { what: "the end of the live stream" });
    expect(ended.extensions).toMatchObject({ code: "UNAVAILABLE", lastCursor: cursors.at(-1) });
    const after = await create(30);
    expect(await seenAfter(oldest, 35)).toEqual([...kept, ...after]);
    expect(await seenAfter(newest, 30)).toEqual(after);
    for (const cursor of [cursors[0], cursors.at(-1), listed]) {
      const { code, headCursor } = await refusalOf(cursor ?? "");
      expect(code).toBe("CURSOR_EXPIRED");
      const [next] = await create(1);
      expect(await seenAfter(String(headCursor), 1)).toEqual([next]);
    }
    const events = await send(api, EVENTS, { after: cursors[0] }, member.headers);
    expect(events.errors?.[0]?.extensions["code"]).toBe("CURSOR_EXPIRED");
    const response = await fetch(`${api.url}/v1/jobs/events?after=${listed}`, { headers: member.headers });
    expect(response.status).toBe(410);
  });

  it("expires the cursor of a create that was acknowledged and is lost", async () => {
    await create(1);
    await standby.catchUp();
    await standby.holdBack();
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, CREATE);
    await cluster.failOver();
    await until(() => create(1).catch(() => null), { boundMs: 30_000 });
    expect((await refusalOf(eventCursor))["code"]).toBe("CURSOR_EXPIRED");
  });

  it("expires cursors that have passed a transaction which committed late and is lost", async () => {
    const early = await create(1);
    const open = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const before = await listCursor();
    const late = database.transaction(SYSTEM, async (tx) => {
      await tx.query("insert into jobs (tenant_id, job_type) values ($1, 'LATE')", [member.tenantId]);
      begun.resolve();
      await open.promise;
    });
    await begun.promise;
    const [overtaking] = await create(1);
    await standby.catchUp();
    await standby.holdBack();
    open.resolve();
    await late;
    const passed = await seenAfter(before, 2).then(() => listCursor());
    await cluster.failOver();
    await until(() => listCursor().catch(() => null), { boundMs: 30_000 });
    // The event that overtook it is there, and must be read again with what else is.
    expect((await refusalOf(passed))["code"]).toBe("CURSOR_EXPIRED");
    expect(await seenAfter(before, 1)).toEqual([overtaking]);
    expect(early).toHaveLength(1);
  });

  it("ends a live stream that began after a change which the feed had not told of yet, and has lost", async () => {
    await create(1);
    await standby.catchUp();
    await standby.holdBack();
    const open = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    // An older transaction holds back the feed, so that its tail is behind what the create has shown.
    const holding = database.transaction(SYSTEM, async (tx) => {
      await tx.query("select pg_current_xact_id()");
      begun.resolve();
      await open.promise;
    });
    await begun.promise;
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, CREATE);
    const live = watch(api.wsUrl, member, { after: eventCursor });
    await until(() => api.tail.size === 1, { what: "a subscription" });
    await listCursor();
    await cluster.failOver();
    open.resolve();
    await expect(holding).rejects.toMatchObject({ code: "unavailable" });

    const ended = await until(() => live.errors[0], { what: "the end of the live stream" });
    await until(() => listCursor().catch(() => null), { boundMs: 30_000 });
    // One that still read its backlog is told at once; one that had not begun has the cursor that it came with.
    const { code, lastCursor = eventCursor } = ended.extensions;
    expect(["UNAVAILABLE", "CURSOR_EXPIRED"]).toContain(code);
    expect((await refusalOf(String(lastCursor)))["code"]).toBe("CURSOR_EXPIRED");
  });

  it("has requests that wait for a job's end answer with the job as it is", async () => {
    const [kept = ""] = await create(1);
    await standby.catchUp();
    await standby.holdBack();
    const [lost = ""] = await create(1);
    const answers = [kept, lost].map((id) =>
      fetch(`${api.url}/v1/jobs/${id}?wait=60`, { headers: member.headers }).then(({ status }) => status),
    );
    await until(() => api.tail.size === 2, { what: "two waiting" });
    for (let n = 0; n < 3; n += 1) await listCursor();
    await cluster.failOver();
    expect(await Promise.all(answers)).toEqual([200, 404]);
  });

  it("is found by whoever comes first, and once, also twice in a row", async () => {
    const first = await listCursor();
    const rounds: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      rounds.push(...(await create(2)));
      await database.transaction(SYSTEM, markComplete);
      await standby.catchUp();
      await standby.holdBack();
      await create(1);
      const lost = await listCursor();
      await cluster.failOver();
      await until(() => Promise.all([listCursor(), listCursor(), listCursor()]).catch(() => null), { boundMs: 30_000 });
      expect((await refusalOf(lost))["code"]).toBe("CURSOR_EXPIRED");
      standby = await cluster.addStandby();
    }
    expect(await seenAfter(first, 4)).toEqual(rounds);
    const seams = await database.transaction(SYSTEM, (tx) => tx.query("select 1 from lost_positions"));
    expect(seams).toHaveLength(2);
  });

  it("takes no job, also nobody's in psql, before the positions have been moved", async () => {
    await create(1);
    await standby.catchUp();
    await api.close();
    await cluster.failOver();
    const insert = `insert into jobs (tenant_id, job_type) values ('${member.tenantId}', 'A')`;
    await expect(asSuperuser(insert, cluster.superuserUrl)).rejects.toMatchObject({ code: "57P03" });
    await until(() => create(1).catch(() => null), { boundMs: 30_000 });
    await asSuperuser(insert, cluster.superuserUrl);
    api = await startApi({}, { ...cluster, database });
  });
});

it("expires a cursor ahead of the log, whatever has shortened it", async () => {
  const cursors = new Cursors(await readCursorKey(database));
  const ahead = cursors.seal(EVENT_PLACE, member.tenantId, { position: 1_000_000_000n, id: 1n });
  const older = await listCursor();
  const { code, headCursor } = await refusalOf(ahead);
  expect(code).toBe("CURSOR_EXPIRED");
  const [created] = await create(1);
  expect(await seenAfter(String(headCursor), 1)).toEqual([created]);
  // How far the log goes back cannot be told: nobody misses a change without a word.
  expect((await refusalOf(older))["code"]).toBe("CURSOR_EXPIRED");
});
