import { randomUUID } from "node:crypto";
import type { Transaction } from "../../src/database/database.js";
import { cancel } from "../../src/queue/cancel.js";
import { claim } from "../../src/queue/claim.js";
import { deleteJob } from "../../src/queue/delete.js";
import { isKeyTaken, type NewJob } from "../../src/queue/enqueue.js";
import { enqueueInDay } from "../../src/queue/enqueue-in-day.js";
import type { HeldJob } from "../../src/queue/held-job.js";
import { rescue } from "../../src/queue/rescue.js";
import { retry } from "../../src/queue/retry.js";
import { newJob } from "../support/new-job.js";
import { asSuperuser, createTenant, useDatabase, SYSTEM } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { complete, release } from "../support/transitions.js";

const own = useDatabase({ per: "test" });
let tenantId: string;
let userId: string;
beforeEach(async () => {
  ({ tenantId, userId } = await createTenant(own.database));
});

const act = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => own.database.transaction(SYSTEM, work);

/** Does `work` in a transaction that stays open until `commit`. */
async function hold<T>(work: (tx: Transaction) => Promise<T>): Promise<{ done: T; commit: () => Promise<unknown> }> {
  const letGo = Promise.withResolvers<void>();
  const done = Promise.withResolvers<T>();
  const over = act(async (tx) => {
    done.resolve(await work(tx));
    await letGo.promise;
  });
  over.catch(done.reject);
  const commit = (): Promise<unknown> => {
    letGo.resolve();
    return over;
  };
  atEnd(() => commit().catch(() => undefined));
  return { done: await done.promise, commit };
}

/** Waits until something waits for a lock that another transaction holds. */
const blocked = () =>
  until(async () => {
    const rows = await asSuperuser(
      "select pid from pg_stat_activity where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0",
      own.superuserUrl,
    );
    return rows.length > 0;
  });

/** Begins what must wait for a held transaction; settles it once that has committed. */
async function meeting<T>(first: { commit: () => Promise<unknown> }, second: Promise<T>): Promise<T> {
  second.catch(() => undefined);
  await blocked();
  await first.commit();
  return second;
}

const enqueueIn = (tx: Transaction, job: NewJob, dailyLimit: number | null = null) =>
  enqueueInDay(tx, { tenantId, userId, dailyLimit }, [job]);
const create = async (): Promise<string> => (await act((tx) => enqueueIn(tx, newJob())))![0]!.id;
const claimIn = async (tx: Transaction, workerId: string = randomUUID()) =>
  (await claim(tx, { workerId, jobTypes: ["A"], limit: 1 })).jobs;
const rescueIn = (tx: Transaction) => rescue(tx, { deadAfterMs: 10_000, defaultTimeoutMs: 60_000, graceMs: 5_000 });

/** A job in the hands of a worker that nobody has seen. */
async function held(): Promise<HeldJob> {
  await create();
  const workerId = randomUUID();
  const [job] = await act((tx) => claimIn(tx, workerId));
  return { tenantId, id: job!.id, workerId, attempt: job!.attempt };
}

/** The job's statuses by its events, whose versions must be dense. */
async function history(id: string): Promise<(string | null)[]> {
  const rows = (await asSuperuser(
    `select version, status from job_events where job_id = '${id}' order by version`,
    own.superuserUrl,
  )) as { version: number; status: string | null }[];
  expect(rows.map(({ version }) => version)).toEqual(rows.map((_, index) => index + 1));
  return rows.map(({ status }) => status);
}

describe("claim", () => {
  it("skips a job that is being deleted", async () => {
    const id = await create();
    const deleting = await hold((tx) => deleteJob(tx, tenantId, id));
    expect(await act((tx) => claimIn(tx))).toEqual([]);
    await deleting.commit();
    expect(await history(id)).toEqual(["queued", null]);
  });

  it("wins against a delete that comes while it is under way", async () => {
    const id = await create();
    const claiming = await hold((tx) => claimIn(tx));
    expect(
      await meeting(
        claiming,
        act((tx) => deleteJob(tx, tenantId, id)),
      ),
    ).toBeNull();
    expect(await history(id)).toEqual(["queued", "running"]);
  });

  it("never takes what another claim is taking", async () => {
    await Promise.all([create(), create()]);
    const first = await hold((tx) => claimIn(tx));
    const [second] = await act((tx) => claimIn(tx));
    expect(second?.id).not.toBe(first.done[0]?.id);
    expect(await act((tx) => claimIn(tx))).toEqual([]);
  });

  it("skips a job that is being canceled, and its own is canceled by request when it was first", async () => {
    const canceled = await create();
    const canceling = await hold((tx) => cancel(tx, tenantId, canceled));
    expect(await act((tx) => claimIn(tx))).toEqual([]);
    await canceling.commit();
    const running = await create();
    const claiming = await hold((tx) => claimIn(tx));
    expect(
      await meeting(
        claiming,
        act((tx) => cancel(tx, tenantId, running)),
      ),
    ).toMatchObject({
      status: "running",
      cancelRequestedAt: expect.any(Date),
    });
    expect([await history(canceled), await history(running)]).toEqual([
      ["queued", "canceled"],
      ["queued", "running"],
    ]);
  });
});

describe("rescue", () => {
  it("skips a job whose end is being written", async () => {
    const job = await held();
    const completing = await hold((tx) => complete(tx, job, "late, but first"));
    expect(await act(rescueIn)).toEqual([]);
    await completing.commit();
    expect(await act(rescueIn)).toEqual([]);
    expect(await history(job.id)).toEqual(["queued", "running", "completed"]);
  });

  it("leaves alone a job that ends while it looks", async () => {
    const job = await held();
    // Holds the rescue between its look at the workers and the lock on its jobs: its snapshot is older than the job's end.
    // Cheap, so that it is asked before the row is found too old.
    await asSuperuser(
      `create function slow_look(uuid) returns boolean language plpgsql volatile cost 0.0001 as $$
       begin perform pg_advisory_xact_lock(7); return true; end $$;
       alter table workers rename to workers_seen;
       create view workers as select * from workers_seen where slow_look(id);
       grant select on workers to public;
       insert into workers_seen (id, name, job_types, seen_at) values ('${job.workerId}', 'w', '{}', now() - interval '1 hour')`,
      own.superuserUrl,
    );
    const gate = await hold((tx) => tx.query("select pg_advisory_xact_lock(7)"));
    const rescuing = act(rescueIn);
    rescuing.catch(() => undefined);
    await blocked();
    expect(await act((tx) => complete(tx, job, "in time"))).toBe("completed");
    await gate.commit();
    expect(await rescuing).toEqual([]);
    expect(await history(job.id)).toEqual(["queued", "running", "completed"]);
  });

  it("takes a job from a worker whose late end then changes nothing, nor the attempt that follows", async () => {
    const job = await held();
    const rescuing = await hold(rescueIn);
    expect(rescuing.done).toMatchObject([{ id: job.id, status: "queued", code: "worker_lost" }]);
    expect(
      await meeting(
        rescuing,
        act((tx) => complete(tx, job, "too late")),
      ),
    ).toBeNull();
    await act((tx) => claimIn(tx));
    expect(await act((tx) => complete(tx, job, "much too late"))).toBeNull();
    expect(await history(job.id)).toEqual(["queued", "running", "queued", "running"]);
  });

  it("happens once, however many try", async () => {
    const job = await held();
    const first = await hold(rescueIn);
    expect(await act(rescueIn)).toEqual([]);
    await first.commit();
    expect(await act(rescueIn)).toEqual([]);
    expect(await history(job.id)).toEqual(["queued", "running", "queued"]);
  });

  it("leaves a job to the worker that hands it back at the same moment", async () => {
    const job = await held();
    const releasing = await hold((tx) => release(tx, job));
    expect(await act(rescueIn)).toEqual([]);
    await releasing.commit();
    expect(await history(job.id)).toEqual(["queued", "running", "queued"]);
  });
});

describe("cancel", () => {
  it("wins against an end that comes while it is under way", async () => {
    const job = await held();
    const canceling = await hold((tx) => cancel(tx, tenantId, job.id));
    expect(
      await meeting(
        canceling,
        act((tx) => complete(tx, job, "done")),
      ),
    ).toBe("canceled");
    expect(await history(job.id)).toEqual(["queued", "running", "canceled"]);
  });

  it("comes too late for a job whose end is being written", async () => {
    const job = await held();
    const completing = await hold((tx) => complete(tx, job, "done"));
    expect(
      await meeting(
        completing,
        act((tx) => cancel(tx, tenantId, job.id)),
      ),
    ).toBeNull();
    expect(await history(job.id)).toEqual(["queued", "running", "completed"]);
  });
});

describe("complete", () => {
  it("counts once, also when it is sent twice", async () => {
    const job = await held();
    const first = await hold((tx) => complete(tx, job, 1));
    expect(
      await meeting(
        first,
        act((tx) => complete(tx, job, 2)),
      ),
    ).toBeNull();
    expect(await history(job.id)).toEqual(["queued", "running", "completed"]);
  });
});

describe("retry", () => {
  it("finds nothing when the job is being deleted, and keeps it from a delete that comes later", async () => {
    const [gone, kept] = [await create(), await create()];
    for (const id of [gone, kept]) await act((tx) => cancel(tx, tenantId, id));
    const deleting = await hold((tx) => deleteJob(tx, tenantId, gone));
    expect(
      await meeting(
        deleting,
        act((tx) => retry(tx, tenantId, gone)),
      ),
    ).toBeNull();
    const retrying = await hold((tx) => retry(tx, tenantId, kept));
    expect(
      await meeting(
        retrying,
        act((tx) => deleteJob(tx, tenantId, kept)),
      ),
    ).not.toBeNull();
    expect(await history(kept)).toEqual(["queued", "canceled", "queued", null]);
  });
});

describe("enqueue", () => {
  it("refuses the second of two creates with one idempotency key", async () => {
    const first = await hold((tx) => enqueueIn(tx, newJob({ idempotencyKey: "k" })));
    const second = act((tx) => enqueueIn(tx, newJob({ idempotencyKey: "k" })));
    const refused = await meeting(first, second).catch((error: unknown) => error);
    expect(isKeyTaken(refused)).toBe(true);
    expect(await asSuperuser("select used from daily_usage", own.superuserUrl)).toEqual([{ used: 1 }]);
  });

  it("lets exactly one of two pass that reach the day's limit together", async () => {
    const first = await hold((tx) => enqueueIn(tx, newJob(), 1));
    expect(
      await meeting(
        first,
        act((tx) => enqueueIn(tx, newJob(), 1)),
      ),
    ).toBeNull();
    expect(first.done).toHaveLength(1);
    expect(await asSuperuser("select used from daily_usage", own.superuserUrl)).toEqual([{ used: 1 }]);
  });
});
