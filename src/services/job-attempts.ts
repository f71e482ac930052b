import type { JobError } from "../queue/job.js";
import type { JobStatus } from "../words.js";
import type { JobEvent } from "../queue/job-event.js";

/** One attempt of a job, read off its events. */
export interface JobAttempt {
  /** From 1. */
  attempt: number;
  workerId: string | null;
  startedAt: Date;
  /** null: it is running. */
  finishedAt: Date | null;
  /** What the job became by it: `queued` for another attempt, or a final status; `running` until then. */
  status: JobStatus;
  /** null: it is running, or it ended without one. */
  error: JobError | null;
  /** Where its handler failed; null: nowhere, or not known. */
  stack: string | null;
}

/** @param events those that began or ended the job's attempts, in order; an end whose beginning is not there is left out. */
export function toAttempts(events: readonly JobEvent[]): JobAttempt[] {
  const attempts = new Map<number, JobAttempt>();
  for (const { attempt, status, previousStatus, workerId, occurredAt, error, stack } of events) {
    if (status === "running") {
      attempts.set(attempt, {
        attempt,
        workerId,
        startedAt: occurredAt,
        finishedAt: null,
        status,
        error: null,
        stack: null,
      });
      continue;
    }
    const begun = attempts.get(attempt);
    if (begun === undefined || previousStatus !== "running" || status === null) continue;
    attempts.set(attempt, { ...begun, finishedAt: occurredAt, status, error, stack });
  }
  return [...attempts.values()];
}
