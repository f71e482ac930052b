import type { ErrorRequestHandler, Response } from "express";
import { AtlasError, ERRORS } from "../errors.js";
import type { Logger } from "../log.js";

/** Answers an error with the contract's JSON body; what is not ours becomes `internal_error` and is logged. */
export function createErrorHandler(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(thrown);
      return;
    }
    const error = asAtlasError(thrown);
    if (error.code === "internal_error") {
      log.error({ err: thrown, requestId: requestIdOf(response) }, "a request failed");
    }
    sendError(response, error);
  };
}

/** The contract's error body, with `Retry-After` where a retry can succeed. */
export function sendError(response: Response, error: AtlasError): void {
  if (error.retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(error.retryAfterSeconds));
  response.status(ERRORS[error.code].status).json({
    ok: false,
    error: error.code,
    message: error.message,
    requestId: requestIdOf(response),
    ...(error.details !== undefined && { details: error.details }),
    ...error.extensions,
  });
}

/** Any error as one of the table; Express's and the body parser's carry a status and a type. */
export function asAtlasError(thrown: unknown): AtlasError {
  if (thrown instanceof AtlasError) return thrown;
  const { type, status } = Object(thrown) as { type?: unknown; status?: unknown };
  if (type === "entity.too.large")
    return new AtlasError("payload_too_large", "The body is too large", { cause: thrown });
  if (type === "entity.parse.failed") return new AtlasError("invalid_json", "The body is no JSON", { cause: thrown });
  if (status === 415)
    return new AtlasError("unsupported_media_type", "The body's encoding or charset is not supported");
  if (typeof status === "number" && status >= 400 && status < 500) {
    return new AtlasError("invalid_input", "The request cannot be read", { cause: thrown });
  }
  return new AtlasError("internal_error", "Something went wrong on our side", { cause: thrown });
}

function requestIdOf(response: Response): string {
  return String(response.locals["requestId"]);
}
