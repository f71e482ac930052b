import { AtlasError } from "../errors.js";

/** SQLSTATE classes and codes of a server that is stopping, starting, full, gone or out of patience: a retry can succeed. */
const AWAY_SQLSTATE = /^(08|25P03|57P0[1-5]|53300|57014$)/;
const AWAY_SOCKET = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);
// The driver reports these without a code.
const AWAY_MESSAGE =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|server closed the connection|is not queryable/i;

export const RETRY_AFTER_SECONDS = 2;

/** Turns a failure to reach the database, however deep its cause, into `unavailable`; returns any other error as it is. */
export function unavailableIfAway(error: unknown): unknown {
  return isAway(error)
    ? new AtlasError("unavailable", "The database is not reachable at the moment", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
        cause: error,
      })
    : error;
}

function isAway(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || error instanceof AtlasError || depth > 4) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (AWAY_SQLSTATE.test(code) || AWAY_SOCKET.has(code) || AWAY_MESSAGE.test(error.message)) return true;
  if (error instanceof AggregateError && error.errors.some((inner) => isAway(inner, depth + 1))) return true;
  return isAway(error.cause, depth + 1);
}
