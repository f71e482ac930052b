import type { Job, JobError } from "../queue/job.js";
import type { JobStatus } from "../words.js";
import type { StatusChange } from "../services/event-service.js";

/** A job as the legacy API shows it: these fields and no others; what is absent is null, instants are ISO 8601 UTC. */
export interface JobItem {
  id: string;
  jobType: string;
  status: string;
  priority: number;
  input: Record<string, unknown>;
  output: unknown;
  error: JobError | null;
  startedAt: Date | null;
  finishedAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

/** @param legacyStatusNames write `succeeded` for `completed`, as old front ends test for it. */
export function toJobItem(job: Job, legacyStatusNames: boolean): JobItem {
  const { id, jobType, priority, input, output, error, startedAt, finishedAt, createdAt, updatedAt } = job;
  return {
    id,
    jobType,
    status: statusName(job.status, legacyStatusNames),
    priority,
    input,
    output,
    error,
    startedAt,
    finishedAt,
    createdAt,
    updatedAt,
  };
}

/** A job as the routes that are ours alone show it. */
export interface JobDetail extends JobItem {
  attempt: number;
  maxAttempts: number;
  runAt: Date;
  version: number;
  origin: {
    kind: "member" | "schedule" | "job" | "system";
    /** The member's, the schedule's or the job's; null for the system. */
    id: string | null;
  };
}

/** @param legacyStatusNames write `succeeded` for `completed`. */
export function toJobDetail(job: Job, legacyStatusNames: boolean): JobDetail {
  const { attempt, maxAttempts, runAt, version, origin } = job;
  return { ...toJobItem(job, legacyStatusNames), attempt, maxAttempts, runAt, version, origin };
}

/** A status change as REST shows it. */
export interface EventItem {
  jobId: string;
  jobType: string;
  /** The job's version after this change: 1, 2, 3 … without a hole. */
  version: number;
  attempt: number;
  /** null: the job was created. */
  previousStatus: string | null;
  /** null: the job was deleted. */
  status: string | null;
  /** The failed attempt's, when this change ended one. */
  error: JobError | null;
  actor: {
    kind: "user" | "worker" | "system" | "database";
    /** The user's or the worker's; null for the others. */
    id: string | null;
  };
  occurredAt: Date;
  /** What the job has put out, on the change that ended it, where a stream ends with its jobs. */
  output?: unknown;
}

/** @param legacyStatusNames write `succeeded` for `completed`. */
export function toEventItem(change: StatusChange, legacyStatusNames: boolean): EventItem {
  const { jobId, jobType, version, attempt, previousStatus, status, error, actor, occurredAt } = change;
  return {
    jobId,
    jobType,
    version,
    attempt,
    previousStatus: previousStatus && statusName(previousStatus, legacyStatusNames),
    status: status && statusName(status, legacyStatusNames),
    error,
    actor,
    occurredAt,
  };
}

export function statusName(status: JobStatus, legacyStatusNames: boolean): string {
  return legacyStatusNames && status === "completed" ? "succeeded" : status;
}

const STATUSES: Record<JobStatus | "succeeded", JobStatus> = {
  queued: "queued",
  running: "running",
  completed: "completed",
  succeeded: "completed",
  failed: "failed",
  canceled: "canceled",
};

/** The names that REST reads a status by; the old one for the good end too. */
export const STATUS_NAMES = Object.keys(STATUSES);

/** The status with this name; null when there is none. */
export function statusNamed(name: string): JobStatus | null {
  return Object.hasOwn(STATUSES, name) ? STATUSES[name as JobStatus] : null;
}
