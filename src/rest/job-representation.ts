import type { Job, JobError, JobStatus } from "../queue/job.js";

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

export function statusName(status: JobStatus, legacyStatusNames: boolean): string {
  return legacyStatusNames && status === "completed" ? "succeeded" : status;
}
