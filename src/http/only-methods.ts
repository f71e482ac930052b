import type { RequestHandler } from "express";
import { AtlasError } from "../errors.js";

/** Answers 405 and says what is allowed. */
export function onlyMethods(allow: string): RequestHandler {
  return (request, response) => {
    response.setHeader("Allow", allow);
    throw new AtlasError("method_not_allowed", `${request.method} is not allowed here; use ${allow}`);
  };
}
