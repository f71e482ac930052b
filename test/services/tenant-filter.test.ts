import { randomUUID } from "node:crypto";
import type { Viewer } from "../../src/auth/viewer.js";
import { TENANT_TABLES } from "../../src/database/check-row-level-security.js";
import type { StatusChange } from "../../src/services/event-service.js";
import { useApi, type TestApi, type TestMember } from "../support/api.js";
import { asSuperuser, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";

const INPUT = { jobType: "A", idempotencyKey: "the same", input: { n: 1 } };
const ignore = () => undefined;

// Each wall must hold alone: here the services' own filters do, with the other wall down. With it up, each attack is one
// that a forgotten filter would let through to the policies: see the faults that are planted.
describe.each(["off", "on"])("with row-level security %s, a service", (policies) => {
  const api = useApi();
  let members: { mine: TestMember; theirs: TestMember };
  let mine: Viewer;
  let theirs: Viewer;
  beforeAll(async () => {
    if (policies === "off") {
      const disable = Object.keys(TENANT_TABLES).map((table) => `alter table ${table} disable row level security;`);
      await asSuperuser(disable.join(" "), api.own.superuserUrl);
    }
    members = { mine: await api.member(), theirs: await api.member() };
    const viewerOf = ({ tenantId, userId }: TestMember): Viewer => {
      return { tenantId, userId, role: "member", seatType: "pro", expiresAt: new Date(Date.now() + 3_600_000) };
    };
    mine = viewerOf(members.mine);
    theirs = viewerOf(members.theirs);
  });

  const create = async (viewer: Viewer, input: object = { jobType: "A" }) =>
    (await api.jobCommands.create(viewer, input, [], ignore)).value;

  const stored = async (id: string) => {
    const [job] = await asSuperuser(
      `select status, version, cancel_requested_at from jobs where id = '${id}'`,
      api.own.superuserUrl,
    );
    return job;
  };

  it("finds none of another tenant's jobs", async () => {
    const { id } = await create(theirs);
    expect(await api.jobs.find(theirs, id)).toMatchObject({ id });
    expect(await api.jobs.find(mine, id)).toBeNull();
    // Its input and output are read by a statement of their own, which would hide the lack of the other's filter.
    expect(await api.jobs.findSummary(mine, id)).toBeNull();
  });

  it("gives two tenants that ask in the same turn each its own", async () => {
    const { id } = await create(theirs);
    const [first, second] = await Promise.all([api.jobs.find(theirs, id), api.jobs.find(mine, id)]);
    expect(first).toMatchObject({ id });
    expect(second).toBeNull();
  });

  it("lists none of another tenant's jobs", async () => {
    await create(mine);
    await create(theirs);
    const { items } = await api.jobs.listSummaries(mine, { first: 200 });
    expect(new Set(items.map(({ tenantId }) => tenantId))).toEqual(new Set([mine.tenantId]));
  });

  it("counts none of another tenant's jobs", async () => {
    const count = () =>
      Promise.all([null, { createdAfter: new Date(0) }].map((filter) => api.jobs.count(mine, filter)));
    const [before = 0] = await count();
    await create(mine);
    await create(theirs);
    expect(await count()).toEqual([before + 1, before + 1]);
  });

  it("cancels none of another tenant's jobs", async () => {
    const { id } = await create(theirs);
    const before = await stored(id);
    await expect(api.jobCommands.cancel(mine, id)).rejects.toMatchObject({ code: "job_not_found" });
    expect(await stored(id)).toEqual(before);
  });

  it("deletes none of another tenant's jobs", async () => {
    const { id } = await create(theirs);
    await expect(api.jobCommands.delete(mine, id)).rejects.toMatchObject({ code: "job_not_found" });
    expect(await stored(id)).toMatchObject({ status: "queued" });
  });

  it("retries none of another tenant's jobs", async () => {
    const { id } = await create(theirs);
    await api.jobCommands.cancel(theirs, id);
    await expect(api.jobCommands.retry(mine, id)).rejects.toMatchObject({ code: "job_not_found" });
    expect(await stored(id)).toMatchObject({ status: "canceled" });
  });

  it("replays no create of another tenant's, though the idempotency key is the same", async () => {
    const [their, own] = [await create(theirs, INPUT), await create(mine, INPUT)];
    expect(own.id).not.toBe(their.id);
    expect(own.tenantId).toBe(mine.tenantId);
    // Nor is it told, as a conflict, that they have used a key for something else.
    const other = { ...INPUT, idempotencyKey: "another" };
    await create(theirs, { ...other, priority: 1 });
    expect((await create(mine, other)).tenantId).toBe(mine.tenantId);
  });

  it("reads no event of another tenant's job", async () => {
    const { id } = await create(theirs);
    expect((await api.jobHistory.events(theirs, id, {})).items).toHaveLength(1);
    expect((await api.jobHistory.events(mine, id, {})).items).toEqual([]);
  });

  it("reads no attempt of another tenant's job", async () => {
    const { id } = await create(theirs);
    await api.database.transaction(SYSTEM, (tx) =>
      tx.query("update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where id = $1", [id]),
    );
    expect(await api.jobHistory.attempts(theirs, id)).toHaveLength(1);
    expect(await api.jobHistory.attempts(mine, id)).toEqual([]);
  });

  it("pages through none of another tenant's events", async () => {
    const [their, own] = [await create(theirs), await create(mine)];
    // In order, and as soon as no transaction of the cluster could still put one before them.
    const ids = await until(async () => {
      const { items } = await api.events.tenantEvents(mine, { first: 200 });
      const seen = items.map(({ jobId }) => jobId);
      return seen.includes(own.id) && seen;
    });
    expect(ids).not.toContain(their.id);
  });

  it("catches up with none of another tenant's events", async () => {
    const { eventCursor } = await api.jobs.listSummaries(mine, {});
    const [, own] = [await create(theirs), await create(mine)];
    expect((await firstOf(api, mine, eventCursor)).jobId).toBe(own.id);
  });

  it("follows none of another tenant's events", async () => {
    const stream = await api.events.changes(mine, null, null);
    const next = stream.next();
    const [, own] = [await create(theirs), await create(mine)];
    expect(await next).toMatchObject({ value: { jobId: own.id } });
    await stream.return?.();
  });

  it("takes no cursor of another tenant's", async () => {
    await create(theirs);
    const { items, eventCursor } = await api.jobs.listSummaries(theirs, {});
    const refused = { code: "invalid_cursor" };
    await expect(api.jobs.listSummaries(mine, { after: items[0]?.cursor })).rejects.toMatchObject(refused);
    await expect(api.events.tenantEvents(mine, { after: eventCursor })).rejects.toMatchObject(refused);
    await expect(api.events.changes(mine, null, eventCursor)).rejects.toMatchObject(refused);
  });

  it("counts nothing of the same user's day in another tenant", async () => {
    const userId = randomUUID();
    await create({ ...theirs, userId });
    expect(await api.members.dailyJobs({ ...theirs, userId })).toMatchObject({ used: 1 });
    expect(await api.members.dailyJobs({ ...mine, userId })).toMatchObject({ used: 0 });
  });

  it("lists none of another tenant's members", async () => {
    const { items: listed } = await api.members.list({ ...mine, role: "owner" }, {});
    expect(listed.map(({ userId }) => userId)).toEqual([mine.userId]);
  });

  it("takes no member of one tenant for a member of another", async () => {
    const list = ({ headers }: TestMember, tenantId: string) =>
      fetch(`${api.url}/v1/jobs/list`, { headers: { ...headers, "x-tenant-id": tenantId } });
    expect((await list(members.mine, mine.tenantId)).status).toBe(200);
    expect((await list(members.mine, theirs.tenantId)).status).toBe(403);
  });
});

async function firstOf(api: TestApi, viewer: Viewer, after: string): Promise<StatusChange> {
  const stream = await api.events.changes(viewer, null, after);
  const { value } = (await stream.next()) as { value: StatusChange };
  await stream.return?.();
  return value;
}
