import { randomUUID } from "node:crypto";
import type { Transaction } from "../../src/database/database.js";
import { cancel } from "../../src/queue/cancel.js";
import { enqueue } from "../../src/queue/enqueue.js";
import { enqueueInDay } from "../../src/queue/enqueue-in-day.js";
import type { JobOrigin } from "../../src/queue/job.js";
import { asSuperuser, createTenant, useDatabase, SYSTEM } from "../support/database.js";
import { newJob } from "../support/new-job.js";

const own = useDatabase();
let tenantId: string;
let userId: string;
beforeEach(async () => {
  ({ tenantId, userId } = await createTenant(own.database));
});

const act = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => own.database.transaction(SYSTEM, work);
const usage = () =>
  asSuperuser(`select user_id as "userId", used from daily_usage where tenant_id = '${tenantId}'`, own.superuserUrl);

describe("enqueue", () => {
  it.each<JobOrigin>([
    { kind: "member", id: randomUUID() },
    { kind: "schedule", id: randomUUID() },
    { kind: "job", id: randomUUID() },
    { kind: "system", id: null },
  ])("creates jobs of a $kind, which they go on to name, and counts nobody's day", async (origin) => {
    const jobs = [newJob(), newJob()];
    const created = await act((tx) => enqueue(tx, { tenantId, origin }, jobs));
    const createdBy = origin.kind === "member" ? origin.id : null;
    expect(created).toMatchObject(jobs.map(({ id }) => ({ id, status: "queued", origin, createdBy })));
    expect(await act((tx) => cancel(tx, tenantId, jobs[0]!.id))).toMatchObject({ status: "canceled", origin });
    expect(await usage()).toEqual([]);
  });

  it("creates no job of two origins", async () => {
    const two = `insert into jobs (tenant_id, job_type, created_by, created_by_job)
      values ('${tenantId}', 'A', gen_random_uuid(), gen_random_uuid())`;
    await expect(asSuperuser(two, own.superuserUrl)).rejects.toMatchObject({ constraint: "jobs_origin_check" });
  });
});

describe("enqueue in a member's day", () => {
  it("creates jobs and counts them in one statement", async () => {
    const statements: string[] = [];
    const jobs = [newJob(), newJob()];
    const created = await act((tx) =>
      enqueueInDay(
        {
          ...tx,
          query: (sql, values) => {
            statements.push(sql);
            return tx.query(sql, values);
          },
        },
        { tenantId, userId, dailyLimit: 2 },
        jobs,
      ),
    );
    expect(statements).toHaveLength(1);
    expect(created).toMatchObject(jobs.map(({ id }) => ({ id, origin: { kind: "member", id: userId } })));
    expect(await usage()).toEqual([{ userId, used: 2 }]);
  });

  it("creates none and counts none where they are too many", async () => {
    const member = { tenantId, userId, dailyLimit: 2 };
    await act((tx) => enqueueInDay(tx, member, [newJob()]));
    expect(await act((tx) => enqueueInDay(tx, member, [newJob(), newJob()]))).toBeNull();
    expect(await usage()).toEqual([{ userId, used: 1 }]);
    expect(await act((tx) => enqueueInDay(tx, { ...member, dailyLimit: null }, [newJob(), newJob()]))).toHaveLength(2);
    expect(await usage()).toEqual([{ userId, used: 3 }]);
  });
});
