import type { Transaction } from "../../src/database/database.js";
import type { JobStatus } from "../../src/words.js";
import { SYSTEM, type TestDatabase } from "../support/database.js";

/** How many workers the model has. */
export const WORKERS = 3;

/** A job as the model thinks of it. Its clock has hours: runAt is in how many a job may run. */
export interface ModelJob {
  id: string;
  jobType: string;
  status: JobStatus;
  priority: number;
  attempt: number;
  maxAttempts: number;
  worker: number | null;
  cancelRequested: boolean;
  /** 0: now. */
  waitHours: number;
  error: { code: string; attempt: number } | null;
  output: boolean;
  version: number;
}

/** What the model knows of the queue. */
export interface Model {
  jobs: ModelJob[];
  deleted: number;
  created: number;
  /** What each worker has in its hands, or believes to have. */
  held: { worker: number; job: ModelJob; attempt: number }[];
  dead: Set<number>;
}

/** The real queue, and who works on it. */
export interface Real {
  own: TestDatabase;
  tenantId: string;
  userId: string;
  workerIds: string[];
}

/** Does work on the real queue in a transaction. */
export const act = <T>(real: Real, work: (tx: Transaction) => Promise<T>): Promise<T> =>
  real.own.database.transaction(SYSTEM, work);

/** Moves a job of the model to another status, which is an event. */
export function move(job: ModelJob, status: JobStatus): void {
  job.status = status;
  job.version += 1;
  if (status !== "running") job.worker = null;
}

/** What an attempt becomes that ends without success. */
export function endBadly(
  job: ModelJob,
  code: string,
  permanent: boolean,
  waitHours: number,
  cancelKeepsError: boolean,
): void {
  if (!job.cancelRequested || !cancelKeepsError) job.error = { code, attempt: job.attempt };
  if (job.cancelRequested) move(job, "canceled");
  else if (permanent || job.attempt >= job.maxAttempts) move(job, "failed");
  else {
    move(job, "queued");
    job.waitHours = waitHours;
  }
}

/** Compares every job of the tenant with the model, after each command. */
export async function compare(model: Model, real: Real): Promise<void> {
  const rows = await act(real, (tx) =>
    tx.query<Record<string, unknown>>(
      `select id, status, attempt, max_attempts, worker_id, cancel_requested_at is not null as cancel, version, due,
         error ->> 'code' as code, (error ->> 'attempt')::int as failed, output is not null as output,
         finished_at is not null as finished
       from jobs where tenant_id = $1 order by id`,
      [real.tenantId],
    ),
  );
  const expected = model.jobs
    .map((job) => ({
      id: job.id,
      status: job.status,
      attempt: job.attempt,
      max_attempts: job.maxAttempts,
      worker_id: job.worker === null ? null : real.workerIds[job.worker],
      cancel: job.cancelRequested,
      version: job.version,
      due: job.status === "queued" && job.waitHours === 0,
      code: job.error?.code ?? null,
      failed: job.error?.attempt ?? null,
      output: job.output,
      finished: !["queued", "running"].includes(job.status),
    }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  expect(rows).toEqual(expected);
}
