import type { Request, RequestHandler, Response } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { credentialsOf } from "../auth/credentials.js";
import type { Viewer } from "../auth/viewer.js";

/**
 * Settles who asks, before a body is read.
 * @param otherTenantIds where else the tenant may be named, when no header does.
 */
export function signIn(
  authenticator: Authenticator,
  otherTenantIds: (request: Request) => string[] = () => [],
): RequestHandler {
  return async (request, response, next) => {
    const credentials = credentialsOf(request.headers);
    const inHeader = credentials.tenantIds.some((id) => id.trim() !== "");
    response.locals["viewer"] = await authenticator.authenticate(
      inHeader ? credentials : { ...credentials, tenantIds: otherTenantIds(request) },
    );
    next();
  };
}

/** Who has signed in. */
export function viewerOf(response: Response): Viewer {
  return response.locals["viewer"] as Viewer;
}
