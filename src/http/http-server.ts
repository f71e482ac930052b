import http, { type IncomingMessage, type RequestListener, type Server } from "node:http";
import { CONNECTIONS, REQUESTS } from "../limits/policies.js";

/** Node's HTTP server in front of an app: how long it waits for what, and which targets and upgrades it knows. */
export function createHttpServer(app: RequestListener): Server {
  const server = http.createServer(
    {
      requestTimeout: REQUESTS.timeoutMs,
      headersTimeout: REQUESTS.headersMs,
      connectionsCheckingInterval: REQUESTS.headersMs / 2,
      keepAliveTimeout: CONNECTIONS.idleMs,
      maxHeaderSize: REQUESTS.headerBytes,
      // A server may ignore other upgrades (RFC 9110, 7.8), and must here: Java's own client offers h2c with each request.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    },
    (request, response) => {
      request.url = originForm(request);
      app(request, response);
    },
  );
  return server.setTimeout(CONNECTIONS.silenceMs);
}

/**
 * A request's target without scheme and host, which some proxies send. Express calls no handler for a target that it cannot
 * parse; such a one becomes `*`, which no route has, and is answered like every unknown path.
 */
function originForm({ url = "" }: IncomingMessage): string {
  if (url.startsWith("/")) return url;
  const target = URL.parse(url);
  return target === null ? "*" : target.pathname + target.search;
}
