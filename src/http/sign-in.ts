import type { Request, RequestHandler, Response } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { type Credentials, credentialsOf } from "../auth/credentials.js";
import type { Viewer } from "../auth/viewer.js";
import { localsOf } from "./request-locals.js";

export interface SignInOptions {
  /** Where else the tenant may be named, when no header does. By default nowhere. */
  otherTenantIds?: (request: Request) => string[];
  /** Whether a stranger's request goes on, with the `refusal` kept in its locals. By default the refusal is thrown. */
  admitsStrangers?: boolean;
}

/**
 * Signs a member in, before a body is read. A user's requests take turns; the turn ends with the response, or with
 * `leaveEarly`.
 */
export function signIn(
  authenticator: Authenticator,
  { otherTenantIds = () => [], admitsStrangers = false }: SignInOptions = {},
): RequestHandler {
  return async (request, response, next) => {
    const credentials = credentialsOf(request.headers);
    const inHeader = credentials.tenantIds.some((id) => id.trim() !== "");
    const asked = inHeader ? credentials : { ...credentials, tenantIds: otherTenantIds(request) };
    try {
      if (!(await enter(authenticator, asked, response))) return;
    } catch (error) {
      if (!admitsStrangers) throw error;
      localsOf(response).refusal = error;
    }
    next();
  };
}

/**
 * Takes another turn for a request that has given its turn up: its token and membership are checked again.
 * @param lastedMs how long the request has lasted so far; its deadline is moved by as much.
 * @returns whether anybody still waits for an answer.
 */
export async function enterAgain(
  authenticator: Authenticator,
  request: Request,
  response: Response,
  lastedMs: number,
): Promise<boolean> {
  localsOf(response).scope.deadlineAt += lastedMs;
  return enter(authenticator, credentialsOf(request.headers), response);
}

async function enter(authenticator: Authenticator, credentials: Credentials, response: Response): Promise<boolean> {
  const locals = localsOf(response);
  const { viewer, leave } = await authenticator.enter(credentials, locals.scope);
  response.once("close", leave);
  // The response has closed already: the listener above is not called any more.
  if (locals.scope.gone.aborted) {
    leave();
    return false;
  }
  Object.assign(locals, { viewer, leave });
  return true;
}

/** Who has signed in. @throws Error on a route without `signIn`, or for a stranger */
export function viewerOf(response: Response): Viewer {
  const { viewer } = localsOf(response);
  if (viewer === undefined) throw new Error("a route asked who has signed in, and nobody has");
  return viewer;
}

/** Gives the user's turn to their next request, for a response that lasts. */
export function leaveEarly(response: Response): void {
  localsOf(response).leave?.();
}
