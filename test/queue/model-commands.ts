import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { cancel } from "../../src/queue/cancel.js";
import { claim } from "../../src/queue/claim.js";
import { deleteJob } from "../../src/queue/delete.js";
import { enqueueInDay } from "../../src/queue/enqueue-in-day.js";
import type { HeldJob } from "../../src/queue/held-job.js";
import { makeDue } from "../../src/queue/make-due.js";
import { rescue } from "../../src/queue/rescue.js";
import { retry } from "../../src/queue/retry.js";
import { newJob } from "../support/new-job.js";
import { act, compare, endBadly, type Model, type ModelJob, move, type Real, WORKERS } from "./model.js";
import { complete, fail, release } from "../support/transitions.js";

const HOUR_MS = 3_600_000;
const TYPES = ["A", "B"];

type Command = fc.AsyncCommand<Model, Real>;
type Pick = (model: Model) => ModelJob | undefined;

function command(
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check: (model) => check(model),
    run: async (model, real) => {
      await run(model, real);
      await compare(model, real);
    },
    toString: () => name,
  };
}

const pick =
  (index: number): Pick =>
  ({ jobs }) =>
    jobs.length === 0 ? undefined : jobs[index % jobs.length];

const enqueueOne = fc
  .record({
    jobType: fc.constantFrom(...TYPES),
    priority: fc.integer({ min: -2, max: 2 }),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    waitHours: fc.constantFrom(0, 0, 0, 2),
  })
  .map((given) =>
    command(`enqueue ${JSON.stringify(given)}`, async (model, real) => {
      const id = randomUUID();
      const runAt = given.waitHours === 0 ? null : new Date(Date.now() + given.waitHours * HOUR_MS);
      const { jobType, priority, maxAttempts } = given;
      const job = newJob({ id, jobType, priority, maxAttempts, runAt });
      const member = { tenantId: real.tenantId, userId: real.userId, dailyLimit: null };
      expect(await act(real, (tx) => enqueueInDay(tx, member, [job]))).toMatchObject([{ id, status: "queued" }]);
      model.created += 1;
      model.jobs.push({ id, ...given, status: "queued", attempt: 0, worker: null, cancelRequested: false, error: null, output: false, version: 1 }); // prettier-ignore
    }),
  );

const claimSome = fc
  .record({
    worker: fc.nat({ max: WORKERS - 1 }),
    limit: fc.integer({ min: 1, max: 3 }),
    jobTypes: fc.constantFrom(["A"], ["B"], TYPES),
  })
  .map(({ worker, limit, jobTypes }) =>
    command(
      `claim up to ${limit} of ${jobTypes.join()} by ${worker}`,
      async (model, real) => {
        const workerId = real.workerIds[worker]!;
        const { jobs: claimed } = await act(real, (tx) => claim(tx, { workerId, jobTypes, limit }));
        const due = model.jobs.filter(
          (job) => job.status === "queued" && job.waitHours === 0 && jobTypes.includes(job.jobType),
        );
        // The oldest of one priority may share its millisecond with others: the order between priorities is the promise.
        expect(claimed.map(({ priority }) => priority)).toEqual(
          due
            .map(({ priority }) => priority)
            .toSorted((a, b) => b - a)
            .slice(0, limit),
        );
        for (const { id } of claimed) {
          const job = due.find((one) => one.id === id)!;
          job.attempt += 1;
          move(job, "running");
          job.worker = worker;
          model.held.push({ worker, job, attempt: job.attempt });
        }
      },
      ({ dead }) => !dead.has(worker),
    ),
  );

/** Ends an attempt that a worker holds, or held once: a zombie's end must change nothing. */
const endAttempt = fc
  .record({
    index: fc.nat(),
    end: fc.constantFrom("complete", "complete", "fail", "fail for good", "fail, spared", "release"),
    waitHours: fc.constantFrom(0, 1),
  })
  .map(({ index, end, waitHours }) =>
    command(
      `${end} ${index} (retry in ${waitHours} h)`,
      async (model, real) => {
        const { worker, job, attempt } = model.held[index % model.held.length]!;
        const held: HeldJob = { tenantId: real.tenantId, id: job.id, workerId: real.workerIds[worker]!, attempt };
        const status = await act(real, (tx) => {
          if (end === "complete") return complete(tx, held, "done");
          if (end === "release") return release(tx, held);
          const failure = { permanent: end === "fail for good", spared: end === "fail, spared" };
          return fail(tx, held, { code: "boom", message: "boom", ...failure, retryDelayMs: waitHours * HOUR_MS });
        });
        const present = model.jobs.includes(job);
        if (!present || job.status !== "running" || job.worker !== worker || job.attempt !== attempt) {
          expect(status).toBeNull();
          return;
        }
        if (end === "complete" && !job.cancelRequested) {
          move(job, "completed");
          job.output = true;
          job.error = null;
        } else if (end === "complete") {
          move(job, "canceled");
        } else if (end === "release") {
          move(job, job.cancelRequested ? "canceled" : "queued");
          job.maxAttempts += 1;
          job.waitHours = 0;
        } else {
          if (end === "fail, spared") job.maxAttempts += 1;
          endBadly(job, "boom", end === "fail for good", waitHours, true);
        }
        expect(status).toBe(job.status);
      },
      ({ held }) => held.length > 0,
    ),
  );

const cancelOne = fc.nat().map((index) =>
  command(`cancel ${index}`, async (model, real) => {
    const job = pick(index)(model);
    const canceled = await act(real, (tx) => cancel(tx, real.tenantId, job?.id ?? randomUUID()));
    if (job === undefined || !["queued", "running"].includes(job.status)) {
      expect(canceled).toBeNull();
      return;
    }
    job.cancelRequested = true;
    if (job.status === "queued") move(job, "canceled");
    expect(canceled).toMatchObject({ id: job.id, status: job.status });
  }),
);

const retryOne = fc.nat().map((index) =>
  command(`retry ${index}`, async (model, real) => {
    const job = pick(index)(model);
    const retried = await act(real, (tx) => retry(tx, real.tenantId, job?.id ?? randomUUID()));
    if (job === undefined || !["failed", "canceled"].includes(job.status)) {
      expect(retried).toBeNull();
      return;
    }
    move(job, "queued");
    Object.assign(job, { cancelRequested: false, output: false, waitHours: 0 });
    job.maxAttempts = Math.max(job.maxAttempts, job.attempt + 1);
    expect(retried).toMatchObject({ id: job.id, status: "queued" });
  }),
);

const deleteOne = fc.nat().map((index) =>
  command(`delete ${index}`, async (model, real) => {
    const job = pick(index)(model);
    const deleted = await act(real, (tx) => deleteJob(tx, real.tenantId, job?.id ?? randomUUID()));
    expect(deleted !== null).toBe(job !== undefined && job.status !== "running");
    if (deleted === null) return;
    model.jobs = model.jobs.filter((one) => one !== job);
    model.deleted += 1;
  }),
);

const crash = fc.nat({ max: WORKERS - 1 }).map((worker) =>
  command(`crash of ${worker}`, async (model, real) => {
    model.dead.add(worker);
    await seen(real, worker, "1 hour");
  }),
);

const comeBack = fc.nat({ max: WORKERS - 1 }).map((worker) =>
  command(
    `beat of ${worker}`,
    async (model, real) => {
      model.dead.delete(worker);
      await seen(real, worker, "0");
    },
    ({ dead }) => dead.has(worker),
  ),
);

const rescueAll = fc.constant(
  command("rescue", async (model, real) => {
    const rescued = await act(real, (tx) =>
      rescue(tx, { deadAfterMs: 60_000, defaultTimeoutMs: 10 * HOUR_MS, graceMs: 0 }),
    );
    const lost = model.jobs.filter(({ worker }) => worker !== null && model.dead.has(worker));
    expect(rescued.map(({ id }) => id).toSorted()).toEqual(lost.map(({ id }) => id).toSorted());
    for (const job of lost) endBadly(job, "worker_lost", false, 0, false);
  }),
);

const hourPasses = fc.constant(
  command("an hour passes", async (model, real) => {
    await act(real, async (tx) => {
      // The hour passes for what waits; the clock itself is the database's.
      await tx.query("update jobs set run_at = run_at - interval '1 hour' where status = 'queued' and not due");
      await makeDue(tx);
    });
    for (const job of model.jobs) if (job.status === "queued") job.waitHours = Math.max(job.waitHours - 1, 0);
  }),
);

/** Has a worker have been seen so long ago, an interval of PostgreSQL. */
export const seen = (real: Real, worker: number, ago: string) =>
  act(real, (tx) =>
    tx.query(
      `insert into workers (id, name, job_types, seen_at) values ($1, 'w', '{}', clock_timestamp() - $2::interval)
       on conflict (id) do update set seen_at = excluded.seen_at`,
      [real.workerIds[worker], ago],
    ),
  );

/** What may happen; a command that is there twice happens twice as often. */
export const COMMANDS = [enqueueOne, enqueueOne, claimSome, claimSome, endAttempt, endAttempt, cancelOne, retryOne, deleteOne, crash, comeBack, rescueAll, hourPasses]; // prettier-ignore
