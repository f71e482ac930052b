import type { Request, Response } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { AtlasError } from "../errors.js";
import type { Services } from "../services/services.js";
import { isFinished } from "../words.js";
import { type LastingRequestOptions, watchLasting } from "../http/lasting-request.js";
import { enterAgain, leaveEarly, viewerOf } from "../http/sign-in.js";

export interface JobWaitOptions extends LastingRequestOptions {
  services: Services;
  authenticator: Authenticator;
}

/** With what the feed ends a stream that could begin again. */
const FEED_ENDS: ReadonlySet<string> = new Set(["unavailable", "cursor_expired", "slow_consumer"]);

/**
 * Waits until a job has ended or is deleted, the time is up, the service shuts down, or the database has failed over. Meanwhile
 * the request has neither a connection of the database nor its user's turn; it takes another one at the end, for the answer.
 * @param eventCursor of the data that showed the job before its end: what happened since is looked at first.
 * @returns whether anybody still waits for an answer.
 * @throws AtlasError `invalid_token`, `tenant_access_denied`, `rate_limit_exceeded`, `unavailable`
 */
export async function waitForEnd(
  options: JobWaitOptions,
  { request, response }: { request: Request; response: Response },
  { id, eventCursor }: { id: string; eventCursor: string },
  waitMs: number,
): Promise<boolean> {
  const startedAt = performance.now();
  const { ending, release } = watchLasting(response, options);
  const { socket } = request;
  const silenceMs = socket.timeout ?? 0;
  // Nothing comes and nothing goes while it waits.
  socket.setTimeout(silenceMs + waitMs);
  // Behind a body that nobody reads, the connection's end would not be seen.
  request.resume();
  const enough = AbortSignal.any([ending, AbortSignal.timeout(waitMs)]);
  const up = new Promise<void>((resolve) => {
    if (enough.aborted) resolve();
    enough.addEventListener("abort", () => resolve());
  });
  const untilEnd = async (): Promise<void> => {
    const changes = await options.services.events.changes(viewerOf(response), { jobId: [id] }, eventCursor);
    leaveEarly(response);
    void up.then(() => changes.return?.());
    for await (const { status } of changes) if (isFinished(status)) return;
  };
  // As at a failover: how the job is now says all that the client wants to know.
  const unlessFeedEnds = (error: unknown): void => {
    if (!(error instanceof AtlasError && FEED_ENDS.has(error.code))) throw error;
  };
  try {
    // The feed waits for a database that is away; the client waits for so long only.
    await Promise.race([untilEnd().catch(unlessFeedEnds), up]);
  } finally {
    release();
    leaveEarly(response);
    socket.setTimeout(silenceMs);
  }
  if (response.destroyed) return false;
  if (ending.aborted && !options.closing.aborted) throw ending.reason;
  return enterAgain(options.authenticator, request, response, performance.now() - startedAt);
}
