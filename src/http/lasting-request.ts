import type { Response } from "express";
import type { MembershipEnd, MembershipWatch } from "../auth/membership-watch.js";
import { AtlasError } from "../errors.js";
import { viewerOf } from "./sign-in.js";

/** What may end a request that lasts. */
export interface LastingRequestOptions {
  memberships: MembershipWatch;
  /** Fires when the server shuts down, so that requests can drain. */
  closing: AbortSignal;
}

const ENDS: Record<MembershipEnd, () => AtlasError> = {
  expired: () => new AtlasError("invalid_token", "The token has expired"),
  removed: () => new AtlasError("tenant_access_denied", "You are no longer a member of this tenant"),
};

/**
 * Counts a request as one of its viewer's long ones (an event stream, `?wait=`), and says when it must end: its token expires, its member leaves
 * the tenant, the service shuts down, or its client has left.
 * @returns `ending`, a signal whose reason is the AtlasError to answer, and `release`, which ends the watch when the request
 * ends by itself.
 * @throws AtlasError `invalid_token`, `rate_limit_exceeded`
 */
export function watchLasting(
  response: Response,
  { memberships, closing }: LastingRequestOptions,
): { ending: AbortSignal; release: () => void } {
  const ending = new AbortController();
  const unfollow = memberships.follow(viewerOf(response), (why) => ending.abort(ENDS[why]()));
  const close = (): void => ending.abort(new AtlasError("unavailable", "The service is shutting down"));
  const release = (): void => {
    unfollow();
    closing.removeEventListener("abort", close);
  };
  const leave = (): void => {
    release();
    ending.abort(new AtlasError("unavailable", "The client has left"));
  };
  closing.addEventListener("abort", close);
  response.once("close", leave);
  // The listeners above are not called for what happened before they were added.
  if (response.destroyed) leave();
  else if (closing.aborted) close();
  return { ending: ending.signal, release };
}
