import { unwrapResolverError } from "@apollo/server/errors";
import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { shortened } from "../../bounds/text.js";
import { AtlasError, ERRORS } from "../../errors.js";
import { ERROR_REPORTS } from "../../limits/policies.js";
import type { Logger } from "../../log.js";

/**
 * Formats what a field or a stream threw: an `AtlasError` by the table, a fault of the document as it is, anything else
 * as an internal error that says nothing.
 */
export function formatError(formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError {
  const original = originalOf(thrown);
  const { locations, path } = formatted;
  const place = { ...(locations && { locations }), ...(path && { path }) };
  if (original instanceof AtlasError)
    return { message: original.message, ...place, extensions: extensionsOf(original) };
  if (isClientsFault(thrown)) {
    // GraphQL's errors about variables that it cannot coerce have no code.
    const code = thrown.extensions["code"] ?? "BAD_USER_INPUT";
    return { message: bounded(formatted.message), ...place, extensions: { code } };
  }
  return { message: "Internal server error", ...place, extensions: { code: ERRORS.internal_error.graphql } };
}

function bounded(message: string): string {
  return message.length <= ERROR_REPORTS.messageCharacters
    ? message
    : `${shortened(message, ERROR_REPORTS.messageCharacters)}…`;
}

export function withRequestId(error: GraphQLFormattedError, requestId: string): GraphQLFormattedError {
  return { ...error, extensions: { ...error.extensions, requestId } };
}

/** Logs each error of which its client is told nothing, with its cause. */
export function logUnknownErrors(log: Logger, requestId: string, errors: readonly unknown[]): void {
  for (const thrown of errors) {
    const original = originalOf(thrown);
    if (original instanceof AtlasError || isClientsFault(thrown)) continue;
    log.error({ err: original, requestId }, "a GraphQL field failed");
  }
}

/** An error as the body of a response, for what fails before GraphQL has the request. */
export function errorBody({ code, message, retryAfterSeconds }: AtlasError, requestId: string): object {
  const extensions = {
    code: ERRORS[code].graphql,
    requestId,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  };
  return { errors: [{ message, extensions }] };
}

/** The longest wait that these errors ask for, in seconds; null when none does. */
export function retryAfterOf(errors: readonly unknown[]): number | null {
  const waits = errors
    .map(originalOf)
    .map((original) => (original instanceof AtlasError ? (original.retryAfterSeconds ?? 0) : 0));
  return Math.max(0, ...waits) || null;
}

/** One of the table's errors, for where only GraphQL's own can be thrown. */
export function asGraphqlError(error: AtlasError): GraphQLError {
  const { status, graphql } = ERRORS[error.code];
  return new GraphQLError(error.message, {
    originalError: error,
    extensions: { code: graphql, ...extensionsOf(error), http: { status } },
  });
}

/** What a resolver threw, or what an error without a path stands for. */
function originalOf(thrown: unknown): unknown {
  return thrown instanceof GraphQLError && thrown.originalError instanceof AtlasError
    ? thrown.originalError
    : unwrapResolverError(thrown);
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
function isClientsFault(thrown: unknown): thrown is GraphQLError {
  return thrown instanceof GraphQLError && (thrown.path === undefined || thrown.originalError === undefined);
}
