import { type Request, Router } from "express";
import { isUuid } from "../bounds/uuid.js";
import { invalidInput } from "../errors.js";
import { allowanceHeaders } from "../services/create-limit.js";
import type { Pace } from "../limits/pace.js";
import { ANSWERS, BODIES, PAGES, REQUESTS } from "../limits/policies.js";
import { isFinished } from "../words.js";
import { statusName, toJobDetail, toJobItem } from "./job-representation.js";
import { type JobWaitOptions, waitForEnd, waitMsOf } from "./job-wait.js";
import { jsonBody } from "../http/json-body.js";
import { onlyMethods } from "../http/only-methods.js";
import { checkNoBody, checkQuery, oneQueryValue, queryValues } from "../http/query-values.js";
import { signIn, viewerOf } from "../http/sign-in.js";

export interface JobsRoutesOptions extends JobWaitOptions {
  /** At which each user sends bodies. */
  bodies: Pace;
  legacyStatusNames: boolean;
}

/** The place in the events that an answer shows: no change after it is missed by a stream that begins there. */
const EVENT_CURSOR = "X-Event-Cursor";

/**
 * The legacy API's routes for jobs, thin over the service. To be mounted at the root: each route is a full path, which the
 * metrics show.
 */
export function createJobsRoutes(options: JobsRoutesOptions): Router {
  const { authenticator, legacyStatusNames, bodies } = options;
  const { jobs, jobCommands } = options.services;
  const router = Router();
  const signedIn = signIn(authenticator);

  router
    .route("/v1/jobs/list")
    .get(signIn(authenticator, { otherTenantIds: tenantOf }), async (request, response) => {
      const viewer = viewerOf(response);
      const userId = userIdOf(request);
      const page = await jobs.list(viewer, { first: PAGES.rows }, jobs.payloadAllowance(viewer, ANSWERS.restBytes));
      const items = page.items.map((job) => toJobItem(job, legacyStatusNames));
      response
        .set(EVENT_CURSOR, page.eventCursor)
        .json({ ok: true, org_id: viewer.tenantId, user_id: userId, items, ts: new Date() });
    })
    .all(onlyMethods("GET, HEAD"));

  router
    .route("/v1/jobs")
    .post(signedIn, ...jsonBody(BODIES.restBytes, bodies), async (request, response) => {
      const created = await jobCommands.create(viewerOf(response), createBody(request), [], (allowance) =>
        response.set(allowanceHeaders(allowance)),
      );
      if (created.replayed) response.set("Idempotency-Replayed", "true");
      const job = created.value;
      // A create sent again may find its job anywhere.
      response
        .set(EVENT_CURSOR, created.eventCursor)
        .json({ ok: true, id: job.id, status: statusName(job.status, legacyStatusNames) });
    })
    .all(onlyMethods("POST"));

  router
    .route("/v1/jobs/:id")
    .get(signedIn, async (request, response) => {
      checkQuery(request, ["wait"]);
      const [id, waitMs] = [jobId(request), waitMsOf(request)];
      if (waitMs > 0) {
        const { value, eventCursor } = await jobs.getSummary(viewerOf(response), id);
        const seen = { id, eventCursor };
        if (!isFinished(value.status) && !(await waitForEnd(options, { request, response }, seen, waitMs))) return;
      }
      const { value: job, eventCursor } = await jobs.get(viewerOf(response), id);
      response.set(EVENT_CURSOR, eventCursor).json({ ok: true, job: toJobDetail(job, legacyStatusNames) });
    })
    .delete(signedIn, async (request, response) => {
      const { eventCursor } = await jobCommands.delete(viewerOf(response), jobId(request));
      response.set(EVENT_CURSOR, eventCursor).json({ ok: true });
    })
    .all(onlyMethods("GET, HEAD, DELETE"));

  for (const change of ["cancel", "retry"] as const) {
    router
      .route(`/v1/jobs/:id/${change}`)
      .post(signedIn, ...jsonBody(BODIES.restBytes, bodies), async (request, response) => {
        checkQuery(request, []);
        checkNoBody(request);
        const { value, eventCursor } = await jobCommands[change](viewerOf(response), jobId(request));
        const job = toJobDetail(value, legacyStatusNames);
        response.set(EVENT_CURSOR, eventCursor).json({ ok: true, id: job.id, status: job.status, job });
      })
      .all(onlyMethods("POST"));
  }
  return router;
}

function jobId(request: Request): string {
  const { id } = request.params;
  if (typeof id !== "string" || !isUuid(id)) throw invalidInput([{ path: "id", message: "must be a UUID" }]);
  return id;
}

/** The legacy API's other place for the tenant. */
function tenantOf(request: Request): string[] {
  return queryValues(request, "org_id", "orgId");
}

function userIdOf(request: Request): string | null {
  const userId = oneQueryValue(request, "user_id", "userId");
  if (userId !== null && [...userId].length > REQUESTS.userIdCharacters) {
    throw invalidInput([{ path: "user_id", message: `must be at most ${REQUESTS.userIdCharacters} characters` }]);
  }
  return userId;
}

/** The body with `job_type`, the legacy API's other spelling, as `jobType`, and the header's idempotency key. */
function createBody(request: Request): unknown {
  const body: unknown = request.body ?? {};
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const { job_type: other, ...rest } = body as Record<string, unknown>;
  const key = request.get("idempotency-key");
  if (key !== undefined) rest["idempotencyKey"] = key;
  if (other === undefined || other === null) return rest;
  if (rest["jobType"] != null && rest["jobType"] !== other) {
    throw invalidInput([{ path: "job_type", message: "must not differ from jobType" }]);
  }
  return { ...rest, jobType: other };
}
