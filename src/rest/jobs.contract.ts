import { z } from "zod";
import { isUuid } from "../bounds/uuid.js";
import { REQUESTS } from "../limits/policies.js";
import { createJob } from "../services/create-job-input.js";
import { type Answer, BODY_ERRORS, type RouteContract, SIGNED_IN_ERRORS } from "./contract.js";
import { instant, jobDetail, jobItem, statusName } from "./job-representation.js";

/** The header with the cursor of what an answer shows: a stream of events after it misses no later change. */
export const EVENT_CURSOR = "X-Event-Cursor";

const params = z.object({ id: z.string().refine(isUuid, "must be a UUID").meta({ format: "uuid" }) });

const userId = z
  .string()
  .refine(
    (value) => [...value].length <= REQUESTS.userIdCharacters,
    `must be at most ${REQUESTS.userIdCharacters} characters`,
  )
  .meta({ maxLength: REQUESTS.userIdCharacters })
  .optional();

const waitFault = `must be a whole number of seconds, 0–${REQUESTS.waitSeconds}`;
const wait = z
  .string()
  .regex(/^\d{1,2}$/, waitFault)
  .refine((value) => Number(value) <= REQUESTS.waitSeconds, waitFault)
  .transform(Number);

function json(description: string, body: z.ZodObject, ...headers: string[]): Answer {
  return { description, mediaType: "application/json", body, headers: [EVENT_CURSOR, ...headers] };
}

export const listJobs = {
  method: "get",
  path: "/v1/jobs/list",
  summary: "The tenant's first jobs, by priority, then the newest first",
  legacy: true,
  query: z.object({
    org_id: z.string().describe("The tenant, when no header names it.").optional(),
    orgId: z.string().describe("Another spelling of org_id.").optional(),
    user_id: userId.describe("Told again in the answer."),
    userId: userId.describe("Another spelling of user_id."),
  }),
  answers: {
    200: json(
      "The jobs",
      z.strictObject({
        ok: z.literal(true),
        org_id: z.guid(),
        user_id: z.string().nullable(),
        items: z.array(jobItem),
        ts: instant,
      }),
    ),
  },
  errors: SIGNED_IN_ERRORS,
} as const satisfies RouteContract;

export const createOneJob = {
  method: "post",
  path: "/v1/jobs",
  summary: "Creates a job",
  legacy: true,
  headers: z.object({
    "idempotency-key": createJob.shape.idempotencyKey.describe("Sent again, it returns the first job."),
  }),
  body: createJob.extend({
    job_type: createJob.shape.jobType.optional().describe("Another spelling of jobType."),
  }),
  answers: {
    200: json(
      "The job's id",
      z.strictObject({ ok: z.literal(true), id: z.guid(), status: statusName }),
      "Idempotency-Replayed",
      "RateLimit",
      "RateLimit-Policy",
      "RateLimit-Limit",
      "RateLimit-Remaining",
      "RateLimit-Reset",
    ),
  },
  errors: [...SIGNED_IN_ERRORS, ...BODY_ERRORS, "missing_job_type", "daily_job_limit_exceeded", "idempotency_conflict"],
} as const satisfies RouteContract;

export const getJob = {
  method: "get",
  path: "/v1/jobs/:id",
  summary: "A job as it is, or as it is once it has ended",
  legacy: false,
  params,
  query: z.object({ wait: wait.optional().describe("How many seconds to wait for the job's end.") }),
  answers: { 200: json("The job", z.strictObject({ ok: z.literal(true), job: jobDetail })) },
  errors: [...SIGNED_IN_ERRORS, "job_not_found"],
} as const satisfies RouteContract;

export const deleteJob = {
  method: "delete",
  path: "/v1/jobs/:id",
  summary: "Removes a job that is not running",
  legacy: true,
  params,
  answers: { 200: json("It is gone", z.strictObject({ ok: z.literal(true) })) },
  errors: [...SIGNED_IN_ERRORS, "job_not_found", "job_running"],
} as const satisfies RouteContract;

const changed = z.strictObject({ ok: z.literal(true), id: z.guid(), status: statusName, job: jobDetail });
const changeErrors = [...SIGNED_IN_ERRORS, ...BODY_ERRORS, "job_not_found", "invalid_transition"] as const;

export const cancelJob = {
  method: "post",
  path: "/v1/jobs/:id/cancel",
  summary: "Cancels a queued job, or asks the worker of a running one to stop it",
  legacy: false,
  params,
  answers: { 200: json("The job as it is then", changed) },
  errors: changeErrors,
} as const satisfies RouteContract;

export const retryJob = {
  method: "post",
  path: "/v1/jobs/:id/retry",
  summary: "Queues a failed or canceled job again",
  legacy: false,
  params,
  answers: { 200: json("The job as it is then", changed) },
  errors: changeErrors,
} as const satisfies RouteContract;
