import { randomUUID } from "node:crypto";
import type { ClaimedJob } from "../../src/queue/job.js";
import { claim, type Claimed, type ClaimRequest } from "../../src/queue/claim.js";
import { asSuperuser, SYSTEM, useDatabase } from "../support/database.js";

const own = useDatabase({ per: "test" });

/** Makes tenants whose ids are in order. */
async function tenants(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID()).toSorted();
  const rows = ids.map((id) => `('${id}', 'Test')`).join();
  await asSuperuser(`insert into tenants (id, name) values ${rows}`, own.superuserUrl);
  return ids;
}

const enqueue = (tenantId: string, count: number, priority = 0, jobType = "A") =>
  asSuperuser(
    `insert into jobs (tenant_id, job_type, priority)
     select '${tenantId}', '${jobType}', ${priority} from generate_series(1, ${count})`,
    own.superuserUrl,
  );

/** Claims as one worker does: each time from the tenant after the last. */
function worker(request: Partial<ClaimRequest> = {}) {
  const workerId = randomUUID();
  let lastTenantId: string | null = null;
  return async (limit: number, more: Partial<ClaimRequest> = {}): Promise<Claimed> => {
    const claimed = await own.database.transaction(SYSTEM, (tx) =>
      claim(tx, { workerId, jobTypes: ["A"], limit, lastTenantId, ...request, ...more }),
    );
    lastTenantId = claimed.lastTenantId;
    return claimed;
  };
}

const tenantsOf = (jobs: readonly ClaimedJob[]): string[] => jobs.map(({ tenantId }) => tenantId);
const countsOf = (jobs: readonly ClaimedJob[]): Map<string, number> =>
  jobs.reduce(
    (counts, { tenantId }) => counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1),
    new Map<string, number>(),
  );

describe("turns between tenants", () => {
  it("starts the one job of each of 50 tenants after at most one of a tenant with 100,000 of the highest priority", async () => {
    const [large = "", ...small] = await tenants(51);
    await enqueue(large, 100_000, 2 ** 31 - 1);
    for (const id of small) await enqueue(id, 1, -(2 ** 31));
    const claimSome = worker();
    const jobs: ClaimedJob[] = [];
    for (let n = 0; n < 17; n += 1) jobs.push(...(await claimSome(3)).jobs);
    expect(tenantsOf(jobs)).toEqual([large, ...small]);
    expect((await claimSome(4)).jobs.map(({ tenantId }) => tenantId)).toEqual(Array(4).fill(large));
  });

  it("holds for four workers, while tenants come and go", async () => {
    const all = await tenants(12);
    const [large = ""] = all;
    await enqueue(large, 500, 9);
    const workers = Array.from({ length: 4 }, () => worker());
    /** Since a tenant waits: how many of each other one each worker has started. */
    const waits = new Map<string, Map<string, number>>();
    for (let step = 0; step < 120; step += 1) {
      const at = step % workers.length;
      // A tenant of which nothing waits comes, with one job or with several.
      const comer = all[1 + ((step * 7) % (all.length - 1))] ?? "";
      if (!waits.has(comer)) {
        await enqueue(comer, 1 + (step % 3), step % 5);
        waits.set(comer, new Map());
      }
      const { jobs } = await workers[at]!(1 + (step % 3));
      for (const { tenantId } of jobs) {
        waits.delete(tenantId);
        for (const started of waits.values()) {
          const key = `${at}:${tenantId}`;
          started.set(key, (started.get(key) ?? 0) + 1);
        }
      }
      for (const started of waits.values()) expect(Math.max(0, ...started.values())).toBeLessThanOrEqual(1);
      // What is left of a tenant that was served waits anew.
      const rest = (await asSuperuser(
        "select distinct tenant_id from jobs where status = 'queued'",
        own.superuserUrl,
      )) as { tenant_id: string }[];
      for (const { tenant_id: id } of rest) if (id !== large && !waits.has(id)) waits.set(id, new Map());
    }
    const started = (await asSuperuser(
      "select tenant_id, count(*)::int from jobs where status = 'running' group by 1",
      own.superuserUrl,
    )) as { tenant_id: string }[];
    expect(started.map(({ tenant_id: id }) => id).toSorted()).toEqual(all);
  });

  it("orders a tenant's own jobs by priority, then by age, over all of its types", async () => {
    const [tenantId = ""] = await tenants(1);
    for (const [priority, jobType] of [
      [0, "A"],
      [7, "B"],
      [5, "A"],
      [5, "B"],
    ] as const)
      // prettier-ignore
      await enqueue(tenantId, 1, priority, jobType);
    const { jobs } = await worker({ jobTypes: ["A", "B"] })(10);
    expect(jobs.map(({ priority, jobType }) => [priority, jobType])).toEqual([[7, "B"], [5, "A"], [5, "B"], [0, "A"]]); // prettier-ignore
  });

  it("gives a tenant that is alone each slot", async () => {
    const [tenantId = ""] = await tenants(2);
    await enqueue(tenantId, 25);
    const claimSome = worker({ tenantShare: 5 });
    expect(await claimSome(10)).toMatchObject({ jobs: { length: 10 } });
    expect(await claimSome(10, { running: { [tenantId]: 10 } })).toMatchObject({ jobs: { length: 10 } });
    expect(await claimSome(10)).toMatchObject({ jobs: { length: 5 } });
  });

  it("parts the slots evenly, and passes the odd one on", async () => {
    const three = await tenants(3);
    for (const id of three) await enqueue(id, 100);
    const claimSome = worker();
    const jobs: ClaimedJob[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { jobs: claimed } = await claimSome(10);
      expect(Math.max(...countsOf(claimed).values())).toBe(4);
      jobs.push(...claimed);
    }
    expect([...countsOf(jobs).values()]).toEqual([10, 10, 10]);
  });

  it("gives a tenant past its share only what no other can use", async () => {
    const [first = "", second = ""] = await tenants(2);
    await enqueue(first, 100);
    await enqueue(second, 3);
    const claimSome = worker({ tenantShare: 5 });
    expect(tenantsOf((await claimSome(1, { running: { [first]: 5 } })).jobs)).toEqual([second]);
    expect(countsOf((await claimSome(2, { running: { [first]: 8 } })).jobs)).toEqual(new Map([[second, 2]]));
    expect((await claimSome(3, { running: { [first]: 7, [second]: 3 } })).jobs).toHaveLength(3);
  });

  it.each([3, 5, 7])("fills all %i slots, however little of them is a share", async (slots) => {
    for (const id of await tenants(2)) await enqueue(id, 100);
    expect((await worker({ tenantShare: 1 })(slots)).jobs).toHaveLength(slots);
  });

  it("passes by what others have locked or are taking, to the tenants behind", async () => {
    const all = await tenants(30);
    for (const id of all) await enqueue(id, 1);
    await own.database.transaction(SYSTEM, async (tx) => {
      await tx.query("select from jobs where tenant_id = any($1) for update", [all.slice(0, 8)]);
      const [one, ten] = [worker(), worker()];
      expect(tenantsOf((await one(1)).jobs)).toEqual([all[8]]);
      expect(tenantsOf((await ten(10)).jobs)).toEqual(all.slice(9, 19));
      // All that is left, and no locked one.
      expect((await one(21)).jobs).toHaveLength(11);
    });
    expect((await worker()(30)).jobs).toHaveLength(8);
  });

  it("goes on behind tenants whose jobs stay locked, claim after claim", async () => {
    const all = await tenants(30);
    for (const id of all) await enqueue(id, 1);
    await own.database.transaction(SYSTEM, async (tx) => {
      await tx.query("select from jobs where tenant_id = any($1) for update", [all.slice(0, 25)]);
      const claimOne = worker();
      let claimed = 0;
      for (let n = 0; n < 8; n += 1) claimed += (await claimOne(1)).jobs.length;
      expect(claimed).toBe(5);
    });
  });

  it("holds no slot back for a tenant whose job another worker is taking", async () => {
    const [first = "", second = ""] = await tenants(2);
    await enqueue(first, 100);
    await enqueue(second, 1);
    await own.database.transaction(SYSTEM, async (tx) => {
      await tx.query("select from jobs where tenant_id = $1 for update", [second]);
      expect((await worker({ tenantShare: 5 })(5, { running: { [first]: 5 } })).jobs).toHaveLength(5);
    });
  });

  it("serves the tenant of the first id, and goes on with it after the last", async () => {
    const nil = "00000000-0000-0000-0000-000000000000";
    await asSuperuser(`insert into tenants (id, name) values ('${nil}', 'Test')`, own.superuserUrl);
    const [other = ""] = await tenants(1);
    for (const id of [nil, other]) await enqueue(id, 2);
    const claimSome = worker();
    const jobs: ClaimedJob[] = [];
    for (let n = 0; n < 4; n += 1) jobs.push(...(await claimSome(1)).jobs);
    expect(tenantsOf(jobs)).toEqual([nil, other, nil, other]);
  });
});
