import type { JobStatus, OriginKind } from "../words.js";

/** Why an attempt failed. */
export interface JobError {
  /** Machine-readable, `snake_case`. */
  code: string;
  message: string;
  /** The attempt that failed, from 1. */
  attempt: number;
  occurredAt: Date;
}

/** Where a job comes from; `id`: the member's, the schedule's or the job's. */
export type JobOrigin = { kind: Exclude<OriginKind, "system">; id: string } | { kind: "system"; id: null };

/** A job as it stands, without what may be large. Instants are the database's, to the millisecond. */
export interface JobSummary {
  id: string;
  tenantId: string;
  jobType: string;
  status: JobStatus;
  /** Higher first. */
  priority: number;
  /** The last failed attempt's; kept while it is retried, null once completed. */
  error: JobError | null;
  /** Attempts begun; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  /** Not before this instant. */
  runAt: Date;
  /** As its creator named it; null: the type's own, or the worker's default. */
  timeoutMs: number | null;
  cancelRequestedAt: Date | null;
  /** The worker that runs it; null unless running. */
  workerId: string | null;
  /** The user who created it; null: its origin is no member. */
  createdBy: string | null;
  origin: JobOrigin;
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

/** A job with what it was given and what it returned. */
export interface Job extends JobSummary {
  input: Record<string, unknown>;
  /** What the handler returned; null until the job is completed. */
  output: unknown;
}

/** A job as a worker claims it, with what only workers need. */
export interface ClaimedJob extends Job {
  /** Its creator named no attempts: they are its type's. */
  maxAttemptsByType: boolean;
  /** This attempt's timeout, its creator's or its type's; null: the worker's default. */
  attemptTimeoutMs: number | null;
  /** What the handler kept for its next attempt; null: nothing. */
  checkpoint: unknown;
}

/** What a summary is read from: its own fields, and in place of its origin what that is derived from. */
interface SummaryColumns extends Omit<JobSummary, "origin"> {
  createdBySchedule: string | null;
  createdByJob: string | null;
}

/** Names, by which the ORM selects. The type makes it an error to leave one out. */
const SUMMARY_COLUMNS: Record<keyof SummaryColumns, true> = {
  id: true,
  tenantId: true,
  jobType: true,
  status: true,
  priority: true,
  error: true,
  attempt: true,
  maxAttempts: true,
  runAt: true,
  timeoutMs: true,
  cancelRequestedAt: true,
  workerId: true,
  createdBy: true,
  createdBySchedule: true,
  createdByJob: true,
  version: true,
  position: true,
  createdAt: true,
  startedAt: true,
  finishedAt: true,
  updatedAt: true,
};
export const JOB_SUMMARY_COLUMNS = Object.keys(SUMMARY_COLUMNS) as (keyof SummaryColumns)[];

/** A name as a column has it: `job_type` for `jobType`. */
type Column<Field extends string> = Field extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Column<Rest>}`
  : Field;

/** A value as the driver returns it: instants and big integers are text. */
type Stored<Value> = Value extends Date | bigint ? string : Value extends JobError ? StoredError : Value;

/** The columns of these fields as the driver returns them. */
type RowOf<Fields> = { [Field in keyof Fields & string as Column<Field>]: Stored<Fields[Field]> };

export type JobSummaryRow = RowOf<SummaryColumns>;
export type JobRow = RowOf<SummaryColumns & Omit<Job, keyof JobSummary>>;
export type ClaimedJobRow = JobRow & RowOf<Omit<ClaimedJob, keyof Job>>;

/** A `JobError` as its jsonb column holds it. */
export interface StoredError {
  code: string;
  message: string;
  attempt: number;
  occurredAt: string;
  /** Where the handler failed. No part of the job's error, which is shown as it is: the attempt has it. */
  stack?: string;
}

export function toJobSummary(row: JobSummaryRow): JobSummary {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    jobType: row.job_type,
    status: row.status,
    priority: row.priority,
    error: toJobError(row.error),
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    runAt: new Date(row.run_at),
    timeoutMs: row.timeout_ms,
    cancelRequestedAt: toInstant(row.cancel_requested_at),
    workerId: row.worker_id,
    createdBy: row.created_by,
    origin: toOrigin(row),
    version: row.version,
    position: BigInt(row.position),
    createdAt: new Date(row.created_at),
    startedAt: toInstant(row.started_at),
    finishedAt: toInstant(row.finished_at),
    updatedAt: new Date(row.updated_at),
  };
}

export function toJob(row: JobRow): Job {
  return { ...toJobSummary(row), input: row.input, output: row.output };
}

export function toClaimedJob(row: ClaimedJobRow): ClaimedJob {
  return {
    ...toJob(row),
    maxAttemptsByType: row.max_attempts_by_type,
    attemptTimeoutMs: row.attempt_timeout_ms,
    checkpoint: row.checkpoint,
  };
}

export function toJobError(stored: StoredError | null): JobError | null {
  if (stored === null) return null;
  const { code, message, attempt, occurredAt } = stored;
  return { code, message, attempt, occurredAt: new Date(occurredAt) };
}

function toOrigin(row: Pick<JobSummaryRow, "created_by" | "created_by_schedule" | "created_by_job">): JobOrigin {
  if (row.created_by !== null) return { kind: "member", id: row.created_by };
  if (row.created_by_schedule !== null) return { kind: "schedule", id: row.created_by_schedule };
  if (row.created_by_job !== null) return { kind: "job", id: row.created_by_job };
  return { kind: "system", id: null };
}

function toInstant(value: string | null): Date | null {
  return value === null ? null : new Date(value);
}
