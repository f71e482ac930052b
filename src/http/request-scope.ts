import { randomUUID } from "node:crypto";
import type { RequestHandler } from "express";
import { REQUESTS } from "../limits/policies.js";
import { localsOf } from "./request-locals.js";

const ID = new RegExp(`^[\\w.-]{1,${REQUESTS.idCharacters}}$`);

/** Names each request, as its client did or anew, and says when it is given up. The first of all handlers. */
export const openScope: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  const requestId = given !== undefined && ID.test(given) ? given : randomUUID();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  localsOf(response).scope = { requestId, deadlineAt: performance.now() + 2 * REQUESTS.timeoutMs, gone: gone.signal };
  response.setHeader("X-Request-Id", requestId);
  response.setHeader("Cache-Control", "no-store");
  next();
};
