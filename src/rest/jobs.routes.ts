import type { Request } from "express";
import { invalidInput } from "../errors.js";
import { oneQueryValue } from "../http/query-values.js";
import { viewerOf } from "../http/sign-in.js";
import { ANSWERS, PAGES } from "../limits/policies.js";
import { allowanceHeaders } from "../services/create-limit.js";
import { read } from "./contract.js";
import { statusNameOf, toJobDetail, toJobItem } from "./job-representation.js";
import { type JobWaitOptions, waitForEnd } from "./job-wait.js";
import { cancelJob, createOneJob, deleteJob, EVENT_CURSOR, getJob, listJobs, retryJob } from "./jobs.contract.js";
import type { Route } from "./router.js";
import { isFinished } from "../words.js";

export interface JobsRoutesOptions extends JobWaitOptions {
  legacyStatusNames: boolean;
}

/** The routes for jobs, thin over the services. */
export function createJobsRoutes(options: JobsRoutesOptions): Route[] {
  const { legacyStatusNames } = options;
  const { jobs, jobCommands } = options.services;
  const list: Route = {
    contract: listJobs,
    async answer(request, response) {
      const viewer = viewerOf(response);
      const userId = userIdOf(request);
      const page = await jobs.list(viewer, { first: PAGES.rows }, jobs.payloadAllowance(viewer, ANSWERS.restBytes));
      const items = page.items.map((job) => toJobItem(job, legacyStatusNames));
      response
        .set(EVENT_CURSOR, page.eventCursor)
        .json({ ok: true, org_id: viewer.tenantId, user_id: userId, items, ts: new Date() });
    },
  };
  const create: Route = {
    contract: createOneJob,
    async answer(request, response) {
      const created = await jobCommands.create(viewerOf(response), createBody(request), [], (allowance) =>
        response.set(allowanceHeaders(allowance)),
      );
      if (created.replayed) response.set("Idempotency-Replayed", "true");
      const job = created.value;
      // A create that is sent again finds its job in any status.
      response
        .set(EVENT_CURSOR, created.eventCursor)
        .json({ ok: true, id: job.id, status: statusNameOf(job.status, legacyStatusNames) });
    },
  };
  const get: Route = {
    contract: getJob,
    async answer(request, response) {
      const [id, waitMs] = [jobId(request), waitMsOf(request)];
      if (waitMs > 0) {
        const { value, eventCursor } = await jobs.getSummary(viewerOf(response), id);
        const seen = { id, eventCursor };
        if (!isFinished(value.status) && !(await waitForEnd(options, { request, response }, seen, waitMs))) return;
      }
      const { value: job, eventCursor } = await jobs.get(viewerOf(response), id);
      response.set(EVENT_CURSOR, eventCursor).json({ ok: true, job: toJobDetail(job, legacyStatusNames) });
    },
  };
  const remove: Route = {
    contract: deleteJob,
    async answer(request, response) {
      const { eventCursor } = await jobCommands.delete(viewerOf(response), jobId(request));
      response.set(EVENT_CURSOR, eventCursor).json({ ok: true });
    },
  };
  const change = (contract: Route["contract"], command: "cancel" | "retry"): Route => ({
    contract,
    async answer(request, response) {
      const { value, eventCursor } = await jobCommands[command](viewerOf(response), jobId(request));
      const job = toJobDetail(value, legacyStatusNames);
      response.set(EVENT_CURSOR, eventCursor).json({ ok: true, id: job.id, status: job.status, job });
    },
  });
  return [list, create, get, remove, change(cancelJob, "cancel"), change(retryJob, "retry")];
}

function jobId(request: Request): string {
  return read(getJob.params.shape.id, request.params["id"], "id");
}

function userIdOf(request: Request): string | null {
  const userId = oneQueryValue(request, "user_id", "userId");
  return read(listJobs.query.shape.user_id, userId ?? undefined, "user_id") ?? null;
}

/** How long a request wants to wait for a job's end; 0: not at all. @throws AtlasError `invalid_input` */
function waitMsOf(request: Request): number {
  const wait = oneQueryValue(request, "wait");
  return 1_000 * (read(getJob.query.shape.wait, wait ?? undefined, "wait") ?? 0);
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
