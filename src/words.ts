// The words that clients and the database know, each list once. Whoever shows one to clients lists it again, under its name
// there, in a type that must have every word: so a new word does not compile until each place has it. Imports nothing.

/** A job's statuses, in the order that a life passes them. */
export const JOB_STATUSES = ["queued", "running", "completed", "failed", "canceled"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

const FINISHED: Readonly<Record<JobStatus, boolean>> = {
  queued: false,
  running: false,
  completed: true,
  failed: true,
  canceled: true,
};

/** Whether a job with this status has ended, or is deleted (null). A retry of an ended job begins it again. */
export function isFinished(status: JobStatus | null): boolean {
  return status === null || FINISHED[status];
}

/** The seats, which set how many jobs a day a member may create. */
export const SEATS = ["free_beta", "starter", "pro", "enterprise"] as const;
export type SeatType = (typeof SEATS)[number];

/** What a member may do: read; also create and change jobs; also see all members' usage. */
export const MEMBER_ROLES = ["viewer", "member", "owner"] as const;
export type MemberRole = (typeof MEMBER_ROLES)[number];

/**
 * Where jobs come from. `member`: through the API; `schedule`: its time came; `job`: another job's handler; `system`: the service
 * itself, or a person or program that writes to the database.
 */
export type OriginKind = "member" | "schedule" | "job" | "system";

/**
 * Who makes changes. `user`: a member, through the API; `worker`: the one that runs the job; `system`: the queue itself, such as
 * the rescue of a lost worker's jobs; `database`: a person or program that writes to the database by itself.
 */
export const ACTOR_KINDS = ["user", "worker", "system", "database"] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];
