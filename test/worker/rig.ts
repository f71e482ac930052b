import { type Hints, openHints } from "../../src/database/hints.js";
import type { Handler, RegisteredHandler } from "../../src/handlers/handler.js";
import { enqueue, type NewJob } from "../../src/queue/enqueue.js";
import { type ClaimedJob, type ClaimedJobRow, toClaimedJob } from "../../src/queue/job.js";
import type { WorkerIntervals } from "../../src/worker/intervals.js";
import { startWorker, type Worker, type WorkerOptions } from "../../src/worker/worker.js";
import { registered } from "../handlers/handler-context.js";
import { createTenant, createTestDatabase, silent, SYSTEM } from "../support/database.js";
import { newJob } from "../support/new-job.js";
import { until } from "../support/until.js";
import { atEnd, type Span, useFixture } from "../support/use.js";

/** Short enough for tests, long enough for two busy cores. */
const INTERVALS: Partial<WorkerIntervals> = {
  pollMs: 100,
  beatMs: 100,
  silentMs: 1_500,
  deadMs: 2_000,
  makeDueMs: 50,
  rescueMs: 100,
  cutOffMs: 200,
  retryMinMs: 20,
  retryMaxMs: 200,
};

/** A worker's intervals with which it seems dead to the others after its first beat, and does not notice. */
export const MUTE: Partial<WorkerIntervals> = { ...INTERVALS, beatMs: 600_000, silentMs: 600_000, rescueMs: 600_000 };

export type Rig = Awaited<ReturnType<typeof createRig>>;

/** A database with a tenant, and workers on it. */
async function createRig() {
  const own = await createTestDatabase();
  const { database, url } = own;
  const { tenantId, userId } = await createTenant(database);
  const hints = openHints(null, silent);
  atEnd(() => hints.close());
  const workers: Worker[] = [];
  atEnd(() => Promise.all(workers.map((worker) => worker.drain())));

  const rows = <Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> =>
    database.transaction(SYSTEM, (tx) => tx.query<Row>(sql, values));

  const job = async (id: string): Promise<ClaimedJob> => {
    const [row] = await rows<ClaimedJobRow>("select * from jobs where id = $1", [id]);
    if (row === undefined) throw new Error(`there is no job ${id}`);
    return toClaimedJob(row);
  };

  const enqueueAll = async (jobs: (Partial<NewJob> & { jobType: string })[]): Promise<string[]> => {
    const created = await database.transaction(SYSTEM, (tx) =>
      enqueue(tx, { tenantId, origin: { kind: "member", id: userId } }, jobs.map(newJob)),
    );
    hints.send("queued");
    return created.map(({ id }) => id);
  };

  return {
    ...own,
    hints,
    tenantId,
    rows,
    job,
    enqueueAll,
    async enqueue(jobType: string, options: Partial<NewJob> = {}): Promise<string> {
      const [id] = await enqueueAll([{ jobType, ...options }]);
      if (id === undefined) throw new Error("no job was created");
      return id;
    },
    /** Starts a worker. Its hints reach this rig's other workers unless it is given others. */
    work(handlers: Record<string, Handler | RegisteredHandler>, options: Partial<WorkerOptions> = {}): Worker {
      const worker = startWorker({
        database,
        databaseUrl: url,
        hints,
        handlers: registered(Object.entries(handlers)),
        log: silent,
        concurrency: 10,
        tenantShare: 0.5,
        jobTimeoutMs: 60_000,
        shutdownGraceMs: 5_000,
        retentionDays: 30,
        ...options,
        intervals: { ...INTERVALS, ...options.intervals },
      });
      workers.push(worker);
      return worker;
    },
    /** Hints that reach nobody else, as in another process with NOTIFY off. */
    otherHints: (): Hints => openHints(null, silent),
    /** Waits until a job fits, and returns it. */
    jobThat: (id: string, what: string, fits: (job: ClaimedJob) => boolean): Promise<ClaimedJob> =>
      until(async () => [await job(id)].find(fits), { what: `a job that ${what}` }),
    /** Waits until a job has ended for good. */
    finished: (id: string): Promise<ClaimedJob> =>
      until(async () => [await job(id)].find(({ finishedAt }) => finishedAt !== null), { what: "the job's end" }),
    /** A job's statuses, in order. */
    statuses: async (id: string): Promise<string[]> =>
      (await rows<{ status: string }>("select status from job_events where job_id = $1 order by version", [id])).map(
        ({ status }) => status,
      ),
  };
}

/** A rig for the tests beside the call; its workers are drained at the end. */
export function useRig(span: Span = {}): Rig {
  return useFixture(createRig, span);
}

/** A handler that waits to be let go, however its signal fires, and tells what it saw. */
export function gate() {
  const started = Promise.withResolvers<AbortSignal>();
  const opened = Promise.withResolvers<unknown>();
  const handler: Handler = (_input, { signal }) => {
    started.resolve(signal);
    return opened.promise;
  };
  return { handler, started: started.promise, open: opened.resolve };
}

/** Waits as a well-behaved handler does: until its signal fires, which it throws. */
export function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
