import { z } from "zod";
import type { Job, JobError } from "../queue/job.js";
import type { StatusChange } from "../services/event-service.js";
import type { JobStatus } from "../words.js";

const STATUSES = {
  queued: "queued",
  running: "running",
  completed: "completed",
  succeeded: "completed",
  failed: "failed",
  canceled: "canceled",
} as const satisfies Record<JobStatus | "succeeded", JobStatus>;
type StatusName = keyof typeof STATUSES;

const STATUS_NAMES = Object.keys(STATUSES) as StatusName[];

/** The names that REST reads and writes a status by; the old one for the good end too. */
export const statusName = z.enum(STATUS_NAMES, `must be one of ${STATUS_NAMES.join(", ")}`);

/** An instant as every answer has it: ISO 8601 in UTC, to the millisecond. */
export const instant = z.iso.datetime({ precision: 3 });

const jobError = z.strictObject({ code: z.string(), message: z.string(), attempt: z.int(), occurredAt: instant });

/** A job as the legacy API shows it: these fields and no others; what is absent is null. */
export const jobItem = z.strictObject({
  id: z.guid(),
  jobType: z.string(),
  status: statusName,
  priority: z.int(),
  input: z.record(z.string(), z.unknown()),
  output: z.unknown(),
  error: jobError.nullable(),
  startedAt: instant.nullable(),
  finishedAt: instant.nullable(),
  createdAt: instant,
  updatedAt: instant,
});
export type JobItem = z.output<typeof jobItem>;

/** A job as the routes that are ours alone show it. */
export const jobDetail = jobItem.extend({
  attempt: z.int().describe("Attempts begun; 0 before the first."),
  maxAttempts: z.int(),
  runAt: instant,
  version: z.int().describe("Counts the job's events, from 1."),
  origin: z.strictObject({
    kind: z.enum(["member", "schedule", "job", "system"]),
    id: z.string().nullable().describe("The member's, the schedule's or the job's; null for the system."),
  }),
});
export type JobDetail = z.output<typeof jobDetail>;

/** A status change as REST shows it. */
export const eventItem = z.strictObject({
  jobId: z.guid(),
  jobType: z.string(),
  version: z.int().describe("The job's version after this change: 1, 2, 3 … without a hole."),
  attempt: z.int(),
  previousStatus: statusName.nullable().describe("null: the job was created."),
  status: statusName.nullable().describe("null: the job was deleted."),
  error: jobError.nullable().describe("The failed attempt's, when this change ended one."),
  actor: z.strictObject({
    kind: z.enum(["user", "worker", "system", "database"]),
    id: z.string().nullable().describe("The user's or the worker's; null for the others."),
  }),
  occurredAt: instant,
  output: z
    .unknown()
    .optional()
    .describe("What the job has put out, on the change that ended it, where a stream ends with its jobs."),
});
export type EventItem = z.output<typeof eventItem>;

/** @param legacyStatusNames write `succeeded` for `completed`, as old front ends test for it. */
export function toJobItem(job: Job, legacyStatusNames: boolean): JobItem {
  const { id, jobType, priority, input, output, error, startedAt, finishedAt, createdAt, updatedAt } = job;
  return {
    id,
    jobType,
    status: statusNameOf(job.status, legacyStatusNames),
    priority,
    input,
    output,
    error: toErrorItem(error),
    startedAt: startedAt?.toJSON() ?? null,
    finishedAt: finishedAt?.toJSON() ?? null,
    createdAt: createdAt.toJSON(),
    updatedAt: updatedAt.toJSON(),
  };
}

/** What REST does not show of a job: a field of `Job` that is neither here nor in `toJobDetail` does not compile. */
type Hidden = "tenantId" | "timeoutMs" | "cancelRequestedAt" | "workerId" | "createdBy" | "position";

/** @param legacyStatusNames write `succeeded` for `completed`. */
export function toJobDetail(job: Job, legacyStatusNames: boolean): JobDetail {
  const { attempt, maxAttempts, runAt, version, origin } = job;
  const item = toJobItem(job, legacyStatusNames);
  return { ...item, attempt, maxAttempts, runAt: runAt.toJSON(), version, origin } satisfies Record<
    Exclude<keyof Job, Hidden>,
    unknown
  >;
}

/** @param legacyStatusNames write `succeeded` for `completed`. */
export function toEventItem(change: StatusChange, legacyStatusNames: boolean): EventItem {
  const { jobId, jobType, version, attempt, previousStatus, status, error, actor, occurredAt } = change;
  return {
    jobId,
    jobType,
    version,
    attempt,
    previousStatus: previousStatus && statusNameOf(previousStatus, legacyStatusNames),
    status: status && statusNameOf(status, legacyStatusNames),
    error: toErrorItem(error),
    actor,
    occurredAt: occurredAt.toJSON(),
  };
}

function toErrorItem(error: JobError | null): z.output<typeof jobError> | null {
  // toISOString would throw for an error without an instant, which a person may have written into the database.
  return error && { ...error, occurredAt: error.occurredAt.toJSON() };
}

/** @param legacyStatusNames write `succeeded` for `completed`. */
export function statusNameOf(status: JobStatus, legacyStatusNames: boolean): StatusName {
  return legacyStatusNames && status === "completed" ? "succeeded" : status;
}

/** The status with this name. */
export function statusNamed(name: StatusName): JobStatus {
  return STATUSES[name];
}
