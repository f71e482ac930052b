import { type Request, type Response, Router } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import type { MembershipEnd, MembershipWatch } from "../auth/membership-watch.js";
import { AtlasError } from "../errors.js";
import type { JobStatus } from "../queue/job.js";
import { invalidInput } from "../services/create-job-input.js";
import type { ChangeFilter, EventService } from "../services/event-service.js";
import { asAtlasError, restBody } from "./error-handler.js";
import { EventStreamWriter } from "./event-stream-writer.js";
import { statusNamed, STATUS_NAMES, toEventItem } from "./job-representation.js";
import { onlyMethods } from "./only-methods.js";
import { oneQueryValue, queryValues } from "./query-values.js";
import { leaveEarly, signIn, viewerOf } from "./sign-in.js";

export interface JobEventsRoutesOptions {
  events: EventService;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  legacyStatusNames: boolean;
  /** Fires when the server shuts down: streams end, so that requests can drain. */
  closing: AbortSignal;
}

/** What a stream says that ends for its viewer's sake. */
const ENDS: Record<MembershipEnd, () => AtlasError> = {
  expired: () => new AtlasError("invalid_token", "The token has expired"),
  removed: () => new AtlasError("tenant_access_denied", "You are no longer a member of this tenant"),
};

/**
 * Server-sent events: every status change of the tenant's jobs, from the same feed as the subscription and with the same
 * guarantees. An event's id is its cursor; `Last-Event-ID`, or `after` in the query, resumes after one.
 */
export function createJobEventsRoutes(options: JobEventsRoutesOptions): Router {
  const { events, authenticator, memberships, legacyStatusNames, closing } = options;
  const router = Router();
  router
    .route("/v1/jobs/events")
    .get(signIn(authenticator), async (request, response) => {
      const viewer = viewerOf(response);
      // What ends the stream from outside; its reason is what the stream says then.
      const ending = new AbortController();
      const unfollow = memberships.follow(viewer, (why) => ending.abort(ENDS[why]()));
      response.once("close", unfollow);
      const changes = await events.changes(viewer, filterOf(request), cursorOf(request));
      // The listeners of a reader who has left already would never be called.
      if (response.destroyed) {
        await changes.return?.();
        return;
      }
      leaveEarly(response);
      // Behind a body that nobody reads, the connection's end would not be seen.
      request.resume();
      const writer = new EventStreamWriter(response);
      const end = (): void => {
        void writer.write(endFrame(asAtlasError(ending.signal.reason), response));
        void changes.return?.();
      };
      const close = (): void => ending.abort(new AtlasError("unavailable", "The service is shutting down"));
      closing.addEventListener("abort", close);
      response.once("close", () => void changes.return?.());
      // Its id alone, so that a client which loses the connection before the first event resumes here.
      void writer.write(`retry: ${RECONNECT_MS}\nid: ${changes.startCursor}\n\n`);
      try {
        ending.signal.addEventListener("abort", end);
        if (closing.aborted) close();
        else if (ending.signal.aborted) end();
        if (request.method === "HEAD") return;
        for await (const change of changes) {
          await writer.write(
            `id: ${change.cursor}\ndata: ${JSON.stringify(toEventItem(change, legacyStatusNames))}\n\n`,
          );
        }
      } catch (error) {
        void writer.write(endFrame(asAtlasError(error), response));
        response.locals["failure"] = error;
      } finally {
        closing.removeEventListener("abort", close);
        unfollow();
        writer.end();
      }
    })
    .all(onlyMethods("GET, HEAD"));
  return router;
}

const RECONNECT_MS = 1_000;

function endFrame(error: AtlasError, response: Response): string {
  return `event: end\ndata: ${JSON.stringify(restBody(error, String(response.locals["requestId"])))}\n\n`;
}

/** `Last-Event-ID` before `after`: a client that reconnects sends the address it began with. */
function cursorOf(request: Request): string | null {
  const after = oneQueryValue(request, "after");
  return request.get("last-event-id") || after;
}

function filterOf(request: Request): ChangeFilter {
  const values = (...names: string[]): string[] | null => {
    const given = queryValues(request, ...names);
    return given.length === 0 ? null : given;
  };
  const status = values("status")?.map((name): JobStatus => {
    const known = statusNamed(name);
    if (known === null) throw invalidInput([{ path: "status", message: `must be one of ${STATUS_NAMES.join(", ")}` }]);
    return known;
  });
  return { jobId: values("job_id", "jobId"), jobType: values("job_type", "jobType"), status: status ?? null };
}
