import { ERRORS } from "../../src/errors.js";

/** Codes that GraphQL itself and its server have, beside the table's. */
const GRAPHQL_CODES = new Set<unknown>([
  ...Object.values(ERRORS).map(({ graphql }) => graphql),
  "BAD_REQUEST",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "OPERATION_RESOLUTION_FAILURE",
  "PERSISTED_QUERY_NOT_SUPPORTED",
]);
/** Those that say that we failed. */
const OUR_FAULTS = new Set<unknown>([ERRORS.internal_error.graphql, ERRORS.unavailable.graphql]);

/** Why a REST answer is none that the contract has, or a fault of ours; null when it is neither. */
export function restFault({ status, body }: { status: number; body: object }): string | null {
  const { ok, error, message, requestId } = body as Record<string, unknown>;
  const told = `${status} ${JSON.stringify(body).slice(0, 500)}`;
  if (status === 200) return ok === true ? null : told;
  const known = typeof error === "string" && Object.hasOwn(ERRORS, error) && ERRORS[error as keyof typeof ERRORS];
  const whole = ok === false && typeof message === "string" && typeof requestId === "string";
  return known && known.status === status && status < 500 && whole ? null : told;
}

/** Why one of these GraphQL errors is none that the contract has, or a fault of ours; null when none is. */
export function graphqlFault(errors: readonly unknown[] = []): string | null {
  const fault = errors.find((error) => {
    const { message, extensions } = Object(error) as { message?: unknown; extensions?: Record<string, unknown> };
    const code = extensions?.["code"];
    const named = typeof message === "string" && typeof extensions?.["requestId"] === "string";
    return !named || !GRAPHQL_CODES.has(code) || OUR_FAULTS.has(code);
  });
  return fault === undefined ? null : JSON.stringify(fault);
}
