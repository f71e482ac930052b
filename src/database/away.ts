import { isNativeError } from "node:util/types";
import { AtlasError } from "../errors.js";

/**
 * SQLSTATEs after which nothing was changed and a retry can succeed: the server is stopping, starting, full, gone, a standby,
 * canceled the statement after its time, or lets nobody in; or the transaction was ended because of another one.
 */
const AWAY_SQLSTATE = new RegExp(
  `^(${[
    "08", // connection exceptions; a pooler's own errors, too
    "25006", // a standby, or a server that was made read-only
    "25P0[34]", // the session was ended: idle in its transaction, or its transaction took too long
    "28", // the login is not let in (any more)
    "3D000", // there is no such database (any more)
    "40001", // a standby's recovery needed what the statement read
    "40P01", // a deadlock
    "53", // disk full, out of memory, too many connections, a limit of the configuration
    "55P03", // a lock was not to be had in time
    "57014", // the statement was canceled, took too long
    "57P0[1-5]", // the server is stopping, starting, has crashed, has dropped the database, or ended an idle session
    "58030", // the server's disk
  ].join("|")})`,
);
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

/** Whether an error, or what caused it, is the database's being away. */
export function isAway(error: unknown, depth = 0): boolean {
  // Not instanceof: under a test runner, Node's errors are of another realm than the code's `Error`.
  if (!isNativeError(error) || error instanceof AtlasError || depth > 4) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (AWAY_SQLSTATE.test(code) || AWAY_SOCKET.has(code) || AWAY_MESSAGE.test(error.message)) return true;
  if (error instanceof AggregateError && error.errors.some((inner) => isAway(inner, depth + 1))) return true;
  return isAway(error.cause, depth + 1);
}
