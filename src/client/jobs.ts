import type { JobStatus as StatusWord, OriginKind } from "../words.js";

/** GraphQL's name of each status. */
const STATUS_NAMES = {
  queued: "QUEUED",
  running: "RUNNING",
  completed: "COMPLETED",
  failed: "FAILED",
  canceled: "CANCELED",
} as const satisfies { [Word in StatusWord]: Uppercase<Word> };
export type JobStatus = (typeof STATUS_NAMES)[StatusWord];

/** GraphQL's name of each kind of origin. */
const ORIGIN_NAMES = {
  member: "MEMBER",
  schedule: "SCHEDULE",
  job: "JOB",
  system: "SYSTEM",
} as const satisfies { [Kind in OriginKind]: Uppercase<Kind> };

/** Where a job comes from; `id`: the member's, the schedule's or the job's, null for the system. */
export interface JobOrigin {
  kind: (typeof ORIGIN_NAMES)[OriginKind];
  id: string | null;
}

/** Why an attempt failed; instants are ISO 8601. */
export interface JobError {
  code: string;
  message: string;
  attempt: number;
  occurredAt: string;
}

/** A job as the service shows it; instants are ISO 8601. */
export interface Job {
  id: string;
  jobType: string;
  status: JobStatus;
  priority: number;
  /** Whole numbers beyond ±(2⁵³ − 1) in it, which a number cannot hold, are bigints; likewise in `output`. */
  input: Record<string, unknown>;
  output: unknown;
  error: JobError | null;
  attempt: number;
  maxAttempts: number;
  runAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  createdAt: string;
  updatedAt: string;
  createdBy: string | null;
  origin: JobOrigin;
  /** Counts the job's events: keep the row with the higher one. */
  version: number;
}

export interface NewJob {
  jobType: string;
  priority?: number;
  /** A bigint in it is sent as the number that it is. */
  input?: Record<string, unknown>;
  runAt?: Date | string;
  maxAttempts?: number;
  timeoutMs?: number;
  /** Default: one of its own for each call, so that a create whose answer was lost is repeated safely. */
  idempotencyKey?: string;
}

export interface PageOptions {
  filter?: { status?: JobStatus[]; jobType?: string[]; createdAfter?: Date | string; createdBefore?: Date | string };
  first?: number;
  after?: string;
  last?: number;
  before?: string;
}

export interface JobPage {
  jobs: Job[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
  totalCount: number;
  /** Watch after it, and no change since this page is missed. */
  eventCursor: string;
}

/** A status change; `job` is as it stands when the change is sent, null once it is deleted. */
export interface JobStatusChange {
  cursor: string;
  jobId: string;
  version: number;
  attempt: number;
  occurredAt: string;
  /** null: the job was created. */
  previousStatus: JobStatus | null;
  /** null: the job was deleted. */
  status: JobStatus | null;
  job: Pick<Job, "id" | "jobType" | "status" | "output" | "error"> | null;
}

export const ERROR_FIELDS = "error { code message attempt occurredAt }";
export const JOB_FIELDS = `id jobType status priority input output ${ERROR_FIELDS} attempt maxAttempts runAt startedAt
  finishedAt createdAt updatedAt createdBy origin { kind id } version`;
