import { randomUUID } from "node:crypto";
import type { WebSocket } from "ws";
import type { Authenticator } from "../../auth/authenticator.js";
import { credentialsOf } from "../../auth/credentials.js";
import { ExpiredTokenError } from "../../auth/expired-token-error.js";
import type { MembershipEnd, MembershipWatch } from "../../auth/membership-watch.js";
import type { Viewer } from "../../auth/viewer.js";
import { AtlasError, type ErrorCode } from "../../errors.js";
import type { Logger } from "../../log.js";

export interface ConnectionOptions {
  authenticator: Authenticator;
  memberships: MembershipWatch;
  log: Logger;
}

/** What is known of a socket that has signed in. */
export interface Connection {
  viewer: Viewer;
  /** Names the connection in logs and errors. */
  requestId: string;
}

/** Why a connection is refused: its close code, and what it says. */
const REFUSALS: Partial<Record<ErrorCode, readonly [code: number, reason: string]>> = {
  missing_bearer_token: [4401, "Unauthorized"],
  invalid_token: [4401, "Unauthorized"],
  tenant_access_denied: [4403, "Forbidden"],
  tenant_required: [4400, "Name the tenant in x-tenant-id"],
  invalid_tenant_id: [4400, "x-tenant-id must be one UUID"],
  unavailable: [1013, "Try again later"],
  // Not 4429, at which graphql-ws' client gives up for good. After a restart of the client, its sockets from before still
  // count for a moment.
  rate_limit_exceeded: [1013, "Too many requests or sockets"],
};

/** Clients reconnect, with a new token. */
const ENDS: Record<MembershipEnd, string> = { expired: "The token has expired", removed: "Forbidden" };

/**
 * Signs a socket in with its connection's parameters. Closes it when it may not, and later when its token expires or its
 * member leaves the tenant.
 * @returns null: the socket is closed.
 */
export async function openConnection(
  socket: WebSocket,
  parameters: Record<string, unknown> | undefined,
  { authenticator, memberships, log }: ConnectionOptions,
): Promise<Connection | null> {
  const requestId = randomUUID();
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  try {
    const credentials = credentialsOf(headersOf(parameters));
    const viewer = await authenticator.authenticate(credentials, { requestId, gone: gone.signal });
    if (gone.signal.aborted) return null;
    const unfollow = memberships.follow(viewer, (why) => socket.close(4403, ENDS[why]));
    socket.once("close", unfollow);
    return { viewer, requestId };
  } catch (error) {
    const refusal = refusalFor(error);
    if (refusal === undefined) log.error({ err: error }, "a socket could not be authenticated");
    socket.close(...(refusal ?? [1011, "Internal server error"]));
    return null;
  }
}

function refusalFor(error: unknown): readonly [code: number, reason: string] | undefined {
  if (error instanceof ExpiredTokenError) return [4403, ENDS.expired];
  return error instanceof AtlasError ? REFUSALS[error.code] : undefined;
}

/**
 * The parameters as headers: names in any case, also one level down under `headers`, where GraphiQL puts them. What is
 * given twice is joined by a comma, as HTTP does it, so that two tenants are seen as two.
 */
function headersOf(parameters: Record<string, unknown> | undefined): Record<string, string> {
  const nested = parameters?.["headers"];
  const headers = new Map<string, Set<string>>();
  for (const given of [parameters ?? {}, typeof nested === "object" ? (nested ?? {}) : {}]) {
    for (const [name, value] of Object.entries(given)) {
      if (typeof value !== "string") continue;
      const key = name.toLowerCase();
      headers.set(key, (headers.get(key) ?? new Set()).add(value));
    }
  }
  return Object.fromEntries(Array.from(headers, ([name, values]) => [name, [...values].join(", ")]));
}
