/** A job's statuses, in the order that a life passes them. */
export const JOB_STATUSES = ["queued", "running", "completed", "failed", "canceled"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** Why an attempt failed. */
export interface JobError {
  /** Machine-readable, `snake_case`. */
  code: string;
  message: string;
  /** The attempt that failed, from 1. */
  attempt: number;
  occurredAt: Date;
}

/** A job as it stands. Instants are the database's, to the millisecond. */
export interface Job {
  id: string;
  tenantId: string;
  jobType: string;
  status: JobStatus;
  /** Higher first. */
  priority: number;
  input: Record<string, unknown>;
  /** What the handler returned; null until the job is completed. */
  output: unknown;
  /** The last failed attempt's; kept while it is retried, null once completed. */
  error: JobError | null;
  /** Attempts begun; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  /** Its creator named no attempts: they are its type's. */
  maxAttemptsByType: boolean;
  /** Not before this instant. */
  runAt: Date;
  /** As its creator named it; null: the type's own, or the worker's default. */
  timeoutMs: number | null;
  /** The latest attempt's timeout, its creator's or its type's; null: the worker's default. */
  attemptTimeoutMs: number | null;
  cancelRequestedAt: Date | null;
  /** What the handler kept for its next attempt; null: nothing. */
  checkpoint: unknown;
  /** The worker that runs it; null unless running. */
  workerId: string | null;
  /** The user who created it; null: created in the database. */
  createdBy: string | null;
  /** Counts the job's events, from 1. */
  version: number;
  /** Its last event's: see `feed/position.ts`. */
  position: bigint;
  createdAt: Date;
  /** The latest attempt's start. */
  startedAt: Date | null;
  finishedAt: Date | null;
  updatedAt: Date;
}

/** A row of `jobs` as the driver returns it. */
export interface JobRow {
  id: string;
  tenant_id: string;
  job_type: string;
  status: JobStatus;
  priority: number;
  input: Record<string, unknown>;
  output: unknown;
  error: StoredError | null;
  attempt: number;
  max_attempts: number;
  max_attempts_by_type: boolean;
  run_at: string;
  timeout_ms: number | null;
  attempt_timeout_ms: number | null;
  cancel_requested_at: string | null;
  checkpoint: unknown;
  worker_id: string | null;
  created_by: string | null;
  version: number;
  position: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  updated_at: string;
}

/** A `JobError` as its jsonb column holds it. */
export interface StoredError {
  code: string;
  message: string;
  attempt: number;
  occurredAt: string;
  /** Where the handler failed. No part of the job's error, which is shown as it is: the attempt has it. */
  stack?: string;
}

export function toJob(row: JobRow): Job {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    jobType: row.job_type,
    status: row.status,
    priority: row.priority,
    input: row.input,
    output: row.output,
    error: toJobError(row.error),
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    maxAttemptsByType: row.max_attempts_by_type,
    runAt: new Date(row.run_at),
    timeoutMs: row.timeout_ms,
    attemptTimeoutMs: row.attempt_timeout_ms,
    cancelRequestedAt: toInstant(row.cancel_requested_at),
    checkpoint: row.checkpoint,
    workerId: row.worker_id,
    createdBy: row.created_by,
    version: row.version,
    position: BigInt(row.position),
    createdAt: new Date(row.created_at),
    startedAt: toInstant(row.started_at),
    finishedAt: toInstant(row.finished_at),
    updatedAt: new Date(row.updated_at),
  };
}

export function toJobError(stored: StoredError | null): JobError | null {
  if (stored === null) return null;
  const { code, message, attempt, occurredAt } = stored;
  return { code, message, attempt, occurredAt: new Date(occurredAt) };
}

function toInstant(value: string | null): Date | null {
  return value === null ? null : new Date(value);
}
