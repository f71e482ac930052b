import { json, type RequestHandler } from "express";
import { AtlasError } from "../errors.js";

/**
 * Parses a JSON body of at most `limit`, and refuses other media types. A request without a body passes: what it leaves
 * out is the business of whoever reads it.
 */
export function jsonBody(limit: string): RequestHandler[] {
  const refuseOthers: RequestHandler = (request, _response, next) => {
    const empty = request.headers["transfer-encoding"] === undefined && !Number(request.headers["content-length"] ?? 0);
    if (empty || request.is(["application/json", "+json"])) {
      next();
      return;
    }
    next(new AtlasError("unsupported_media_type", "Send the body as application/json"));
  };
  return [refuseOthers, json({ limit, type: ["application/json", "+json"], strict: false })];
}
