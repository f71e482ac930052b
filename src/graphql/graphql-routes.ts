import { type RequestHandler, Router } from "express";
import { createErrorHandler } from "../http/error-handler.js";
import { jsonBody } from "../http/json-body.js";
import { onlyMethods } from "../http/only-methods.js";
import type { Pace } from "../limits/pace.js";
import { BODIES } from "../limits/policies.js";
import { errorBody } from "./api/errors.js";

export interface GraphqlRoutesOptions {
  /** Before the body is read. */
  signIn: RequestHandler;
  /** Behind the body. */
  answer: RequestHandler;
  /** At which each user sends bodies. */
  bodies: Pace;
}

/** `/graphql`: what fails before GraphQL has the request, such as its body, is answered in GraphQL's shape. */
export function createGraphqlRoutes({ signIn, answer, bodies }: GraphqlRoutesOptions): Router {
  const router = Router();
  const handlers = [signIn, ...jsonBody(BODIES.graphqlBytes, bodies), answer];
  router.route("/graphql").get(handlers).post(handlers).all(onlyMethods("GET, POST"), createErrorHandler(errorBody));
  return router;
}
