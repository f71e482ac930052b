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
      // Others are ignored, as HTTP has it: Java's own client offers h2c with each request.
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
 * The target that a request names, without the host that proxies put before it. Express leads one that it cannot parse
 * past every handler: as `*`, which no route has, it gets the answer of all unknown targets.
 */
function originForm({ url = "" }: IncomingMessage): string {
  if (url.startsWith("/")) return url;
  const target = URL.parse(url);
  return target === null ? "*" : target.pathname + target.search;
}
