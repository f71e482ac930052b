import { unwrapResolverError } from "@apollo/server/errors";
import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { AtlasError, ERRORS } from "../errors.js";
import type { Logger } from "../log.js";

/**
 * Formats what a field or a stream threw: an `AtlasError` by the table, a fault of the document as it is, anything else
 * as an internal error that says nothing.
 */
export function formatError(formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError {
  const original = unwrapResolverError(thrown);
  const { locations, path } = formatted;
  const place = { ...(locations && { locations }), ...(path && { path }) };
  if (original instanceof AtlasError)
    return { message: original.message, ...place, extensions: extensionsOf(original) };
  if (isClientsFault(thrown)) {
    const code = formatted.extensions?.["code"] ?? "GRAPHQL_VALIDATION_FAILED";
    return { message: formatted.message, ...place, extensions: { code } };
  }
  return { message: "Internal server error", ...place, extensions: { code: ERRORS.internal_error.graphql } };
}

export function withRequestId(error: GraphQLFormattedError, requestId: string): GraphQLFormattedError {
  return { ...error, extensions: { ...error.extensions, requestId } };
}

/** Logs, once and with its cause, what a client is told nothing about. */
export function logUnknownErrors(log: Logger, requestId: string, errors: readonly unknown[]): void {
  for (const thrown of errors) {
    const original = unwrapResolverError(thrown);
    if (original instanceof AtlasError || isClientsFault(thrown)) continue;
    log.error({ err: original, requestId }, "a GraphQL field failed");
  }
}

/** The longest wait that these errors ask for, in seconds; null when none does. */
export function retryAfterOf(errors: readonly unknown[]): number | null {
  const waits = errors
    .map((thrown) => unwrapResolverError(thrown))
    .map((original) => (original instanceof AtlasError ? (original.retryAfterSeconds ?? 0) : 0));
  return Math.max(0, ...waits) || null;
}

function extensionsOf(error: AtlasError): Record<string, unknown> {
  return {
    code: ERRORS[error.code].graphql,
    ...(error.details !== undefined && { details: error.details }),
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
    ...error.extensions,
  };
}

/** The document, its variables or the request are at fault, not a resolver. */
function isClientsFault(thrown: unknown): boolean {
  return thrown instanceof GraphQLError && (thrown.path === undefined || thrown.originalError === undefined);
}
