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

/** The codes with which the feed ends a stream that a client could resume. */
const FEED_ENDS: ReadonlySet<string> = new Set(["unavailable", "cursor_expired", "slow_consumer"]);

/**
 * Waits until a job has ended or is deleted, the time is up, the service shuts down, or the database has failed over. Meanwhile
 * the request has neither a connection of the database nor its user's turn; it takes another one at the end, for the answer.
 * @param eventCursor of the read that showed the job unfinished: changes since then are looked at first.
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
  // No byte passes while it waits: the server's limit of silence must last for as long again.
  socket.setTimeout(silenceMs + waitMs);
  // Node sees a connection's end only once the request's body has been read.
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
  // After one of these, such as a failover, the client is answered with the job as it is now.
  const unlessFeedEnds = (error: unknown): void => {
    if (!(error instanceof AtlasError && FEED_ENDS.has(error.code))) throw error;
  };
  try {
    // While the database is away the feed waits without a bound; this wait has one.
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
