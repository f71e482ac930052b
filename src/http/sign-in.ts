import type { Request, RequestHandler, Response } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { type Credentials, credentialsOf } from "../auth/credentials.js";
import type { RequestScope, Viewer } from "../auth/viewer.js";

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
    const asked = inHeader ? credentials : { ...credentials, tenantIds: otherTenantIds(request) };
    if (await enter(authenticator, asked, response)) next();
  };
}

/**
 * Takes another turn for a request that has left early: who asks is settled anew.
 * @param lastedMs what it has lasted so far, which does not count for its deadline.
 * @returns whether anybody still waits for an answer.
 */
export async function enterAgain(
  authenticator: Authenticator,
  request: Request,
  response: Response,
  lastedMs: number,
): Promise<boolean> {
  const scope = response.locals["scope"] as RequestScope;
  if (scope.deadlineAt !== undefined) scope.deadlineAt += lastedMs;
  return enter(authenticator, credentialsOf(request.headers), response);
}

async function enter(authenticator: Authenticator, credentials: Credentials, response: Response): Promise<boolean> {
  const scope = response.locals["scope"] as RequestScope;
  const { viewer, leave } = await authenticator.enter(credentials, scope);
  response.once("close", leave);
  // Nobody waits for an answer, and nobody would hear of a later close.
  if (scope.gone?.aborted === true) {
    leave();
    return false;
  }
  Object.assign(response.locals, { viewer, leave });
  return true;
}

/** Who has signed in. */
export function viewerOf(response: Response): Viewer {
  return response.locals["viewer"] as Viewer;
}

/** Gives the user's turn to their next request, for a response that lasts. */
export function leaveEarly(response: Response): void {
  (response.locals["leave"] as () => void)();
}
