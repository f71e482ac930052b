import { type JobError, type JobStatus, type StoredError, toJobError } from "./job.js";

/** One change of a job's status, as `job_events` keeps it. */
export interface JobEvent {
  /** Orders all events: by position, then by id. See `feed/position.ts`. */
  position: bigint;
  id: bigint;
  tenantId: string;
  jobId: string;
  jobType: string;
  /** The job's version after this change: 1, 2, 3 … without a hole. */
  version: number;
  /** null: the job was created. */
  previousStatus: JobStatus | null;
  /** null: the job was deleted. */
  status: JobStatus | null;
  attempt: number;
  /** The worker that began or ended an attempt; else null. */
  workerId: string | null;
  /** Who did it: `user:<id>`, `worker:<id>`, `system`, or `database:<login>`. */
  actor: string;
  /** The failed attempt's error, when this change ended one. */
  error: JobError | null;
  occurredAt: Date;
}

/** A row of `job_events` as the driver returns it. */
export interface JobEventRow {
  position: string;
  id: string;
  tenant_id: string;
  job_id: string;
  job_type: string;
  version: number;
  previous_status: JobStatus | null;
  status: JobStatus | null;
  attempt: number;
  worker_id: string | null;
  actor: string;
  error: StoredError | null;
  occurred_at: string;
}

export function toJobEvent(row: JobEventRow): JobEvent {
  return {
    position: BigInt(row.position),
    id: BigInt(row.id),
    tenantId: row.tenant_id,
    jobId: row.job_id,
    jobType: row.job_type,
    version: row.version,
    previousStatus: row.previous_status,
    status: row.status,
    attempt: row.attempt,
    workerId: row.worker_id,
    actor: row.actor,
    error: toJobError(row.error),
    occurredAt: new Date(row.occurred_at),
  };
}
