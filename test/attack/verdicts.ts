import type { Request, Route } from "./routes.js";
import type { JobState, Tenancy } from "./tenancy.js";

/*
 * The verdicts: what every field shows, what every argument takes, what every route is asked. Documents, attacks and what is
 * looked for in the answers are generated from them. What is new has no verdict and fails coverage.test.ts until it has a
 * line here:
 *
 * - a field: in OUTPUTS, under its type; "parts" when it is an object or a list of them, whose own fields are judged too.
 *   In OWNERS_ONLY besides (a route: kind "owner"), if it is refused to whoever is no owner; the attacker is one.
 * - an argument or a field of an input: in INPUTS. If it names something of a tenant, say what it takes (`Tenancy.named` has
 *   such values of both tenants; a new kind goes there) and what somebody of another tenant is told.
 * - a route: in ROUTES, with the requests to it that name something of a tenant.
 */

/** What a field's value is, and so what an attacker's answer is checked for besides the victim's secrets. */
export type Output =
  /** An object, or a list of them: its own fields are judged. */
  | "parts"
  /** Names something of the asker's tenant. */
  | "id"
  /** What people and workers of the asker's tenant wrote: it has the tenant's mark. */
  | "content"
  /** Opens for the asker's tenant. */
  | "cursor"
  /** No more than the asker's tenant has. */
  | "count"
  /** A word, a number or an instant that by itself names nothing. */
  | "plain";

const EVENT: Record<string, Output> = {
  jobId: "id",
  jobType: "content",
  version: "plain",
  attempt: "plain",
  occurredAt: "plain",
  previousStatus: "plain",
  status: "plain",
  error: "parts",
  actor: "parts",
};
const CHANGED_JOB: Record<string, Output> = { job: "parts", eventCursor: "cursor" };

export const OUTPUTS: Record<string, Record<string, Output>> = {
  Query: { job: "parts", jobs: "parts", jobEvents: "parts", members: "parts", node: "parts", viewer: "parts" },
  Mutation: { createJob: "parts", createJobs: "parts", deleteJob: "parts", cancelJob: "parts", retryJob: "parts" },
  Subscription: { jobStatusChanged: "parts" },
  Job: {
    id: "id",
    jobType: "content",
    status: "plain",
    priority: "plain",
    input: "content",
    output: "content",
    error: "parts",
    attempt: "plain",
    maxAttempts: "plain",
    timeoutMs: "plain",
    runAt: "plain",
    startedAt: "plain",
    finishedAt: "plain",
    cancelRequestedAt: "plain",
    createdAt: "plain",
    updatedAt: "plain",
    createdBy: "id",
    origin: "parts",
    version: "plain",
    events: "parts",
    attempts: "parts",
  },
  JobOrigin: { kind: "plain", id: "id" },
  JobError: { code: "content", message: "content", attempt: "plain", occurredAt: "plain" },
  JobAttempt: {
    attempt: "plain",
    workerId: "id",
    startedAt: "plain",
    finishedAt: "plain",
    status: "plain",
    error: "parts",
    stack: "content",
  },
  JobEvent: EVENT,
  JobStatusChange: { ...EVENT, cursor: "cursor", job: "parts" },
  Actor: { kind: "plain", id: "id" },
  JobConnection: { edges: "parts", nodes: "parts", pageInfo: "parts", eventCursor: "cursor", totalCount: "count" },
  JobEdge: { cursor: "cursor", node: "parts" },
  JobEventConnection: { edges: "parts", nodes: "parts", pageInfo: "parts", eventCursor: "cursor" },
  JobEventEdge: { cursor: "cursor", node: "parts" },
  PageInfo: { hasNextPage: "plain", hasPreviousPage: "plain", startCursor: "cursor", endCursor: "cursor" },
  Viewer: { id: "id", userId: "id", tenantId: "id", role: "plain", seatType: "plain", dailyJobs: "parts" },
  MemberConnection: { edges: "parts", nodes: "parts", pageInfo: "parts" },
  MemberEdge: { cursor: "cursor", node: "parts" },
  Member: { userId: "id", role: "plain", seatType: "plain", createdAt: "plain", dailyJobs: "parts" },
  DailyJobs: { limit: "plain", used: "count", remaining: "plain", resetsAt: "plain" },
  CreateJobPayload: { ...CHANGED_JOB, replayed: "plain" },
  CreateJobsPayload: { jobs: "parts", replayed: "plain", eventCursor: "cursor" },
  DeleteJobPayload: { deletedJobId: "id", eventCursor: "cursor" },
  CancelJobPayload: CHANGED_JOB,
  RetryJobPayload: CHANGED_JOB,
};

/** What somebody is told who names another tenant's. */
export type Told =
  /** This code. */
  | "NOT_FOUND"
  | "INVALID_CURSOR"
  | "FORBIDDEN"
  /** There is no such thing: null, and no error. */
  | "null"
  /** Nothing passes: empty lists, and no count above zero. */
  | "nothing"
  /** The same as with any other value: it means something in the asker's own tenant. */
  | "own";

/** What an argument or a field of an input is given. */
export type Input =
  /** An object of fields that are judged one by one. */
  | "fields"
  /** Nothing unless it is required. */
  | "omitted"
  /** An object with the tenant's mark. */
  | "payload"
  /** A page of so many. */
  | { size: number }
  /** What the tenant writes, and no request looks up: one of its own values. */
  | { writes: keyof Tenancy["named"] }
  /** Something of a tenant; `state`: which of its jobs the tenant itself names. */
  | { takes: keyof Tenancy["named"]; told: Told; state?: JobState };

export const INPUTS: Record<string, Input> = {
  "Query.job(id)": { takes: "jobId", told: "null", state: "completed" },
  "Query.node(id)": { takes: "nodeId", told: "null", state: "completed" },
  "Query.jobs(filter)": "fields",
  "Query.jobs(first)": { size: 3 },
  "Query.jobs(last)": "omitted",
  "Query.jobs(after)": { takes: "pageCursor", told: "INVALID_CURSOR" },
  "Query.jobs(before)": { takes: "pageCursor", told: "INVALID_CURSOR" },
  "Query.jobEvents(first)": { size: 10 },
  "Query.jobEvents(after)": { takes: "eventCursor", told: "INVALID_CURSOR" },
  "Query.members(first)": { size: 5 },
  "Query.members(after)": { takes: "memberCursor", told: "INVALID_CURSOR" },
  "Job.events(first)": { size: 4 },
  "Job.events(last)": "omitted",
  "Job.events(after)": { takes: "versionCursor", told: "INVALID_CURSOR" },
  "Job.events(before)": { takes: "versionCursor", told: "INVALID_CURSOR" },
  "Mutation.createJob(input)": "fields",
  "Mutation.createJobs(input)": "fields",
  "Mutation.deleteJob(id)": { takes: "jobId", told: "NOT_FOUND", state: "queued" },
  "Mutation.cancelJob(id)": { takes: "jobId", told: "NOT_FOUND", state: "running" },
  "Mutation.retryJob(id)": { takes: "jobId", told: "NOT_FOUND", state: "failed" },
  "Subscription.jobStatusChanged(filter)": "fields",
  "Subscription.jobStatusChanged(after)": { takes: "eventCursor", told: "INVALID_CURSOR" },
  "JobFilter.status": "omitted",
  "JobFilter.jobType": { takes: "jobType", told: "nothing" },
  "JobFilter.createdAfter": "omitted",
  "JobFilter.createdBefore": "omitted",
  "JobStatusChangeFilter.jobId": { takes: "jobId", told: "nothing" },
  "JobStatusChangeFilter.jobType": { takes: "jobType", told: "nothing" },
  "JobStatusChangeFilter.status": "omitted",
  "CreateJobInput.jobType": { writes: "jobType" },
  "CreateJobInput.priority": "omitted",
  "CreateJobInput.input": "payload",
  "CreateJobInput.runAt": "omitted",
  "CreateJobInput.maxAttempts": "omitted",
  "CreateJobInput.timeoutMs": "omitted",
  "CreateJobInput.idempotencyKey": { takes: "idempotencyKey", told: "own" },
};

/** Fields of queries that only an owner may read, as `Query.job`. */
export const OWNERS_ONLY: ReadonlySet<string> = new Set(["Query.members"]);

const ofJob = (method: string, suffix: string) =>
  function* ({ named }: Tenancy): Generator<Request> {
    for (const id of named.jobId) yield { method, path: `/v1/jobs/${id}${suffix}` };
  };

/** Each by its method and path; ALL: whatever the method. */
export const ROUTES: Record<string, Route> = {
  "GET /": { kind: "open" },
  "GET /healthz": { kind: "open" },
  "GET /readyz": { kind: "open" },
  // Numbers of all tenants together, for the operator.
  "GET /metrics": { kind: "open" },
  // graphql.test.ts and subscription.test.ts.
  "GET /graphql": { kind: "graphql" },
  "POST /graphql": { kind: "graphql" },
  "GET /v1/jobs/list": {
    kind: "read",
    told: 200,
    *requests({ member }) {
      yield { method: "GET", path: `/v1/jobs/list?user_id=${member.userId}` };
    },
  },
  "GET /v1/jobs/events": {
    kind: "read",
    told: "invalid_cursor",
    *requests({ named }) {
      for (const cursor of named.eventCursor) {
        yield { method: "GET", path: `/v1/jobs/events?after=${cursor}` };
        yield { method: "GET", path: "/v1/jobs/events", headers: { "last-event-id": cursor } };
      }
    },
  },
  "GET /v1/members": {
    kind: "owner",
    told: "invalid_cursor",
    *requests({ named }) {
      for (const cursor of named.memberCursor) yield { method: "GET", path: `/v1/members?after=${cursor}` };
    },
  },
  "POST /v1/jobs": {
    kind: "change",
    told: 200,
    *requests({ named }) {
      for (const key of named.idempotencyKey) {
        yield { method: "POST", path: "/v1/jobs", headers: { "idempotency-key": key }, body: { jobType: "A" } };
      }
    },
  },
  "GET /v1/jobs/:id": { kind: "read", told: "job_not_found", requests: ofJob("GET", "") },
  "DELETE /v1/jobs/:id": { kind: "change", told: "job_not_found", requests: ofJob("DELETE", "") },
  "POST /v1/jobs/:id/cancel": { kind: "change", told: "job_not_found", requests: ofJob("POST", "/cancel") },
  "POST /v1/jobs/:id/retry": { kind: "change", told: "job_not_found", requests: ofJob("POST", "/retry") },
};
