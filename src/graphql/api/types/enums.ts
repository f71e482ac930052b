import { registerEnumType } from "type-graphql";

/** GraphQL's names of the statuses; the values are the queue's. */
export const JobStatusName = {
  QUEUED: "queued",
  RUNNING: "running",
  COMPLETED: "completed",
  FAILED: "failed",
  CANCELED: "canceled",
} as const;

/** GraphQL's names of the seats; the values are the members'. */
export const SeatTypeName = {
  FREE_BETA: "free_beta",
  STARTER: "starter",
  PRO: "pro",
  ENTERPRISE: "enterprise",
} as const;

/** GraphQL's names of the roles; the values are the members'. */
export const MemberRoleName = { VIEWER: "viewer", MEMBER: "member", OWNER: "owner" } as const;

/** GraphQL's names of who makes changes; the values are the queue's. */
export const ActorKindName = { USER: "user", WORKER: "worker", SYSTEM: "system", DATABASE: "database" } as const;

registerEnumType(ActorKindName, {
  name: "ActorKind",
  description: "Who makes changes.",
  valuesConfig: {
    USER: { description: "A member, through the API." },
    WORKER: { description: "The worker that runs the job." },
    SYSTEM: { description: "The queue itself, such as the rescue of a lost worker's jobs." },
    DATABASE: { description: "A person or program that writes to the database by itself." },
  },
});

registerEnumType(JobStatusName, {
  name: "JobStatus",
  description: "Where a job stands.",
  valuesConfig: {
    QUEUED: { description: "Waits to run: for its turn, for runAt, or for its next attempt." },
    RUNNING: { description: "A worker runs it." },
    COMPLETED: { description: "Its handler returned; output is what it returned." },
    FAILED: { description: "Its last attempt failed, or failed for good." },
    CANCELED: { description: "It was canceled." },
  },
});

registerEnumType(MemberRoleName, {
  name: "MemberRole",
  description: "What a member may do.",
  valuesConfig: {
    VIEWER: { description: "Read and subscribe." },
    MEMBER: { description: "Also create jobs and change them." },
    OWNER: { description: "Also see all members and their usage." },
  },
});

registerEnumType(SeatTypeName, {
  name: "SeatType",
  description: "A member's seat in a tenant, which sets the jobs they may create a day.",
  valuesConfig: {
    FREE_BETA: { description: "10 jobs a day." },
    STARTER: { description: "50 jobs a day." },
    PRO: { description: "200 jobs a day." },
    ENTERPRISE: { description: "No limit." },
  },
});
