import { type Request, type RequestHandler, type Response, Router } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { jsonBody } from "../http/json-body.js";
import { onlyMethods } from "../http/only-methods.js";
import { checkNoBody, checkQuery, queryValues } from "../http/query-values.js";
import { signIn } from "../http/sign-in.js";
import type { Pace } from "../limits/pace.js";
import { BODIES } from "../limits/policies.js";
import type { RouteContract } from "./contract.js";

/** A contract, and the handler behind sign-in and the contract's checks. */
export interface Route {
  contract: RouteContract;
  answer: (request: Request, response: Response) => Promise<void>;
}

export interface RouterOptions {
  authenticator: Authenticator;
  /** At which each user sends bodies. */
  bodies: Pace;
}

/**
 * Serves routes by their contracts: signs in, reads the body of a POST, refuses what the contract does not know, and answers
 * 405 to methods that a path does not have. To be mounted at the root: each route is a full path, which the metrics show.
 */
export function createRouter(routes: readonly Route[], { authenticator, bodies }: RouterOptions): Router {
  const router = Router();
  for (const [path, there] of Map.groupBy(routes, ({ contract }) => contract.path)) {
    const at = router.route(path);
    for (const { contract, answer } of there) {
      const otherTenantIds = (request: Request): string[] => queryValues(request, ...tenantNamesOf(contract));
      const body = contract.method === "post" ? jsonBody(BODIES.restBytes, bodies) : [];
      at[contract.method](signIn(authenticator, { otherTenantIds }), ...body, refuseUnknown(contract), answer);
    }
    at.all(onlyMethods(there.map(({ contract }) => METHODS[contract.method]).join(", ")));
  }
  return router;
}

const METHODS = { get: "GET, HEAD", post: "POST", delete: "DELETE" } as const;

/** The query's names for the tenant, on the routes of the legacy API that have them. */
function tenantNamesOf({ query }: RouteContract): string[] {
  return ["org_id", "orgId"].filter((name) => query !== undefined && name in query.shape);
}

function refuseUnknown({ legacy, query, body, method }: RouteContract): RequestHandler {
  return (request, _response, next) => {
    if (!legacy) checkQuery(request, Object.keys(query?.shape ?? {}));
    if (method === "post" && body === undefined) checkNoBody(request);
    next();
  };
}
