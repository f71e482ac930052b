import { ACTOR_KINDS, type ActorKind, type JobStatus } from "../words.js";
import { type JobError, type StoredError, toJobError } from "./job.js";

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
  actor: Actor;
  /** The failed attempt's error, when this change ended one. */
  error: JobError | null;
  /** Where the handler of the failed attempt failed; null: not known. */
  stack: string | null;
  occurredAt: Date;
}

/** Who made a change. */
interface Actor {
  kind: ActorKind;
  /** The user's or the worker's; null for the others. */
  id: string | null;
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
    actor: toActor(row.actor),
    error: toJobError(row.error),
    stack: row.error?.stack ?? null,
    occurredAt: new Date(row.occurred_at),
  };
}

/** Reads `user:<id>`, `worker:<id>`, `system`, or `database:<login>`; the login is not shown to clients. */
function toActor(stored: string): Actor {
  const [name = "", id = null] = stored.split(":", 2);
  const kind = ACTOR_KINDS.find((known) => known === name) ?? "database";
  return { kind, id: kind === "user" || kind === "worker" ? id : null };
}
