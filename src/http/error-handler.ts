import type { ErrorRequestHandler } from "express";
import { AtlasError, ERRORS } from "../errors.js";
import { localsOf } from "./request-locals.js";

/** An error as a surface's body. */
export type ErrorBody = (error: AtlasError, requestId: string) => object;

/**
 * Answers an error with its status and headers, and with REST's JSON body unless a surface has one of its own.
 * What was thrown is kept in the request's locals, for the request's one log line.
 */
export function createErrorHandler(bodyOf: ErrorBody = errorBody): ErrorRequestHandler {
  return (thrown: unknown, _request, response, next) => {
    localsOf(response).failure = thrown;
    if (response.headersSent) {
      next(thrown);
      return;
    }
    const error = asAtlasError(thrown);
    const { status } = ERRORS[error.code];
    if (status === 401) response.setHeader("WWW-Authenticate", "Bearer");
    if (error.retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(error.retryAfterSeconds));
    response.status(status).json(bodyOf(error, localsOf(response).scope.requestId));
  };
}

/** An error's body in REST's form, for every route whose surface has no form of its own. */
export function errorBody(error: AtlasError, requestId: string): object {
  return {
    ok: false,
    error: error.code,
    message: error.message,
    requestId,
    ...(error.details !== undefined && { details: error.details }),
    ...error.extensions,
  };
}

/** Any error as one of the table; Express's and the body parser's carry a status and a type. */
export function asAtlasError(thrown: unknown): AtlasError {
  if (thrown instanceof AtlasError) return thrown;
  const { type, status, limit } = Object(thrown) as { type?: unknown; status?: unknown; limit?: unknown };
  if (type === "entity.too.large")
    return new AtlasError("payload_too_large", `The body may have ${String(limit)} bytes`, { cause: thrown });
  if (status === 415)
    return new AtlasError("unsupported_media_type", "The body's encoding or charset is not supported");
  if (typeof status === "number" && status >= 400 && status < 500) {
    return new AtlasError("invalid_input", "The request cannot be read", { cause: thrown });
  }
  return new AtlasError("internal_error", "Something went wrong on our side", { cause: thrown });
}
