import type { Request, RequestHandler, Response } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { credentialsOf } from "../auth/credentials.js";
import type { Asking, Viewer } from "../auth/viewer.js";

/**
 * Settles who asks, before a body is read. A user's requests take turns; the turn ends with the response, or with
 * `leaveEarly`.
 * @param otherTenantIds where else the tenant may be named, when no header does.
 */
export function signIn(
  authenticator: Authenticator,
  otherTenantIds: (request: Request) => string[] = () => [],
): RequestHandler {
  return async (request, response, next) => {
    const credentials = credentialsOf(request.headers);
    const inHeader = credentials.tenantIds.some((id) => id.trim() !== "");
    const asking = response.locals["asking"] as Asking;
    const { viewer, leave } = await authenticator.enter(
      inHeader ? credentials : { ...credentials, tenantIds: otherTenantIds(request) },
      asking,
    );
    response.once("close", leave);
    // Nobody waits for an answer, and nobody would hear of a later close.
    if (asking.gone?.aborted === true) {
      leave();
      return;
    }
    Object.assign(response.locals, { viewer, leave });
    next();
  };
}

/** Who has signed in. */
export function viewerOf(response: Response): Viewer {
  return response.locals["viewer"] as Viewer;
}

/** Gives the user's turn to their next request, for a response that lasts. */
export function leaveEarly(response: Response): void {
  (response.locals["leave"] as () => void)();
}
