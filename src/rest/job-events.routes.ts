import type { Request, Response } from "express";
import { type AtlasError, invalidInput } from "../errors.js";
import type { ChangeFilter } from "../services/change-filter.js";
import type { ChangeStream } from "../services/event-service.js";
import type { Services } from "../services/services.js";
import { type ChangeToEnd, untilFinished } from "../services/until-finished.js";
import { asAtlasError, errorBody } from "../http/error-handler.js";
import { EventStreamWriter } from "../http/event-stream-writer.js";
import { faultsOf, read } from "./contract.js";
import { jobEvents } from "./job-events.contract.js";
import { type EventItem, statusNamed, toEventItem } from "./job-representation.js";
import { type LastingRequestOptions, watchLasting } from "../http/lasting-request.js";
import { localsOf } from "../http/request-locals.js";
import { oneQueryValue, queryValues } from "../http/query-values.js";
import { leaveEarly, viewerOf } from "../http/sign-in.js";
import type { Route } from "./router.js";

export interface JobEventsRoutesOptions extends LastingRequestOptions {
  services: Services;
  legacyStatusNames: boolean;
}

/**
 * Server-sent events: every status change of the tenant's jobs, from the same feed as the subscription and with the same
 * guarantees. An event's id is its cursor; `Last-Event-ID`, or `after` in the query, resumes after one.
 */
export function createJobEventsRoutes(options: JobEventsRoutesOptions): Route[] {
  const { services, legacyStatusNames } = options;
  const stream: Route = {
    contract: jobEvents,
    async answer(request, response) {
      const viewer = viewerOf(response);
      const filter = filterOf(request);
      const toEnd = endsWithJobs(request, filter);
      const { ending, release } = watchLasting(response, options);
      const changes = await services.events.changes(viewer, filter, cursorOf(request));
      const stop = (): void => void changes.return?.();
      ending.addEventListener("abort", stop);
      if (ending.aborted) stop();
      const untilEnd = toEnd === null ? null : await untilFinished(services, viewer, toEnd, changes);
      // The client has left already: listeners that are added now would never be called.
      if (response.destroyed) {
        await changes.return?.();
        return;
      }
      // 204 tells a browser's EventSource, which reconnects after the end, not to come again.
      if (untilEnd?.over === true && request.get("last-event-id") !== undefined) {
        response.status(204).end();
        return;
      }
      leaveEarly(response);
      // Node sees a connection's end only once the request's body has been read.
      request.resume();
      const writer = new EventStreamWriter(response);
      const write = ({ change, output }: ChangeToEnd, id: boolean): Promise<void> => {
        const item: EventItem = { ...toEventItem(change, legacyStatusNames), ...(output !== undefined && { output }) };
        return writer.write(`${id ? `id: ${change.cursor}\n` : ""}data: ${JSON.stringify(item)}\n\n`);
      };
      try {
        void writer.write(`retry: ${RECONNECT_MS}\n`);
        // Before the stream's first id: a client that loses the connection between them is told of these again.
        if (untilEnd !== null) for await (const ended of untilEnd.ended()) await write(ended, false);
        // Its id alone, so that a client which loses the connection before the first event resumes here.
        void writer.write(`id: ${changes.startCursor}\n\n`);
        if (request.method === "HEAD") return;
        for await (const one of untilEnd?.coming() ?? shown(changes)) await write(one, true);
        if (ending.aborted) throw ending.reason;
        if (untilEnd?.finished() === true) void writer.write(END_OF_JOBS);
      } catch (error) {
        void writer.write(endFrame(asAtlasError(error), response));
        if (error !== ending.reason) localsOf(response).failure = error;
      } finally {
        release();
        stop();
        writer.end();
      }
    },
  };
  return [stream];
}

const RECONNECT_MS = 1_000;

const END_OF_JOBS = `event: end\ndata: {"ok":true}\n\n`;

async function* shown(changes: ChangeStream): AsyncGenerator<ChangeToEnd, void> {
  for await (const change of changes) yield { change };
}

function endFrame(error: AtlasError, response: Response): string {
  return `event: end\ndata: ${JSON.stringify(errorBody(error, localsOf(response).scope.requestId))}\n\n`;
}

/** `Last-Event-ID` before `after`: a client that reconnects sends the address it began with. */
function cursorOf(request: Request): string | null {
  const after = oneQueryValue(request, "after");
  return request.get("last-event-id") || after;
}

/** The jobs at whose end the stream ends; null: it goes on. @throws AtlasError `invalid_input` */
function endsWithJobs(request: Request, { jobId, jobType, status }: ChangeFilter): readonly string[] | null {
  const until = oneQueryValue(request, "until");
  if (until === null) return null;
  const details = faultsOf(jobEvents.query.shape.until, until, "until");
  if (jobId == null) details.push({ path: "job_id", message: "must name the jobs with whose end the stream ends" });
  for (const [path, given] of Object.entries({ job_type: jobType, status })) {
    if (given != null) details.push({ path, message: "must not be given together with until" });
  }
  if (details.length > 0 || jobId == null) throw invalidInput(details);
  return jobId;
}

function filterOf(request: Request): ChangeFilter {
  const values = (...names: string[]): string[] | null => {
    const given = queryValues(request, ...names);
    return given.length === 0 ? null : given;
  };
  const status = read(jobEvents.query.shape.status, values("status") ?? undefined, "status");
  return {
    jobId: values("job_id", "jobId"),
    jobType: values("job_type", "jobType"),
    status: status?.map(statusNamed) ?? null,
  };
}
