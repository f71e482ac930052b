import http, { type IncomingMessage, type RequestListener, type Server } from "node:http";

/** For a request to arrive, and for as long again to be answered. */
export const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** A request or an answer of which nothing comes and nothing goes: its client has stopped reading, or is gone. */
const SILENCE_MS = 60_000;
/** Between requests. Proxies and load balancers keep theirs for 60 s: who keeps them for less, ends one that is used just then. */
const KEEP_ALIVE_MS = 75_000;

/** Node's HTTP server in front of an app: how long it waits for what, and which targets and upgrades it knows. */
export function createHttpServer(app: RequestListener): Server {
  const server = http.createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Others are ignored, as HTTP has it: Java's own client offers h2c with each request.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    },
    (request, response) => {
      request.url = originForm(request);
      app(request, response);
    },
  );
  return server.setTimeout(SILENCE_MS);
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
