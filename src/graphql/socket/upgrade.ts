import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isSameOrigin, type Trust } from "./same-origin.js";

const PATH = "/graphql";

/** Which upgrade requests are taken. */
export interface UpgradeRules {
  /** The origins whose pages may connect, beside the service's own; `*`: all. Programs name none, and may. */
  corsOrigins: readonly string[];
  /** Whose word counts about the origin that a request was sent to. */
  trusts: Trust;
}

/** Why an upgrade request is refused, as an HTTP status and its name; null: it is taken. */
export function upgradeRefusal(request: IncomingMessage, { corsOrigins, trusts }: UpgradeRules): string | null {
  if ((request.url ?? "").split("?")[0] !== PATH) return "404 Not Found";
  const { origin } = request.headers;
  const known =
    origin === undefined ||
    corsOrigins.includes("*") ||
    corsOrigins.includes(origin) ||
    isSameOrigin(request, origin, trusts);
  return known ? null : "403 Forbidden";
}

/** Answers an upgrade request that is refused, and closes its connection. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
