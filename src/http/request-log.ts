import type { RequestHandler } from "express";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import { localsOf } from "./request-locals.js";

const SLOW_REQUEST_MS = 1_000;

/** Writes one line and one observation for each request once it is over, with the cause of a failure that is ours. */
export function logRequests(log: Logger, metrics: Pick<Metrics, "observeRequest">): RequestHandler {
  return (request, response, next) => {
    const { method, path } = request;
    const startedAt = performance.now();
    response.once("close", () => {
      const durationMs = performance.now() - startedAt;
      // 499 as nginx has it: the client went away before its answer was written.
      const status = response.writableFinished ? response.statusCode : 499;
      const route = (request.route as { path: string } | undefined)?.path ?? "other";
      metrics.observeRequest({ method, route, status }, durationMs / 1000);
      const { scope, failure } = localsOf(response);
      const line = { requestId: scope.requestId, method, path, status, durationMs: Math.round(durationMs) };
      if (status >= 500) log[status === 500 ? "error" : "warn"]({ ...line, err: failure }, "a request failed");
      else log[durationMs >= SLOW_REQUEST_MS ? "info" : "debug"](line, "request");
    });
    next();
  };
}
