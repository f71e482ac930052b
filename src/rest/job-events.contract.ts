import { z } from "zod";
import { errorItem, type RouteContract, SIGNED_IN_ERRORS } from "./contract.js";
import { eventItem, statusName } from "./job-representation.js";

const text = z.string().optional();
const texts = z.array(z.string()).optional();

export const jobEvents = {
  method: "get",
  path: "/v1/jobs/events",
  summary: "Every status change of the tenant's jobs, as server-sent events",
  legacy: false,
  query: z.object({
    after: text.describe("The cursor to go on after; without it, the stream begins now."),
    until: z
      .literal("finished", "must be finished")
      .optional()
      .describe("The stream ends once each job that job_id names has ended or is deleted."),
    job_id: texts.describe("These jobs alone; it may stand several times."),
    jobId: texts.describe("Another spelling of job_id."),
    job_type: texts.describe("Jobs of these types alone; it may stand several times."),
    jobType: texts.describe("Another spelling of job_type."),
    status: z.array(statusName).optional().describe("Changes to these statuses alone; it may stand several times."),
  }),
  headers: z.object({
    "last-event-id": text.describe("As after, and before it: browsers send it when they reconnect."),
  }),
  answers: {
    200: {
      description: "Changes, each with its cursor as id. The event `end` says why the stream ends.",
      mediaType: "text/event-stream",
      body: z.union([
        eventItem,
        z.strictObject({ ok: z.literal(true) }),
        errorItem([
          "invalid_token",
          "tenant_access_denied",
          "cursor_expired",
          "slow_consumer",
          "unavailable",
          "internal_error",
        ]),
      ]),
      headers: [],
    },
    204: {
      description: "For a client that comes again: all jobs had ended before its last event",
      mediaType: "text/event-stream",
      body: null,
      headers: [],
    },
  },
  errors: [...SIGNED_IN_ERRORS, "invalid_cursor", "cursor_expired", "job_not_found"],
} as const satisfies RouteContract;
