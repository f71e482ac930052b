import { randomUUID } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net, { type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import cors from "cors";
import express, { type Express, type RequestHandler, type Response } from "express";
import helmet from "helmet";
import type { Api } from "./api.js";
import type { RequestScope } from "./auth/viewer.js";
import type { Config } from "./config.js";
import type { Database } from "./database/database.js";
import { AtlasError, ERRORS } from "./errors.js";
import { createFrontPage } from "./front-page.js";
import type { Trust } from "./graphql/socket/same-origin.js";
import { listen } from "./http/listen.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";
import { createErrorHandler, type ErrorBody } from "./http/error-handler.js";
import { createJobEventsRoutes } from "./rest/job-events.routes.js";
import { createJobsRoutes } from "./rest/jobs.routes.js";
import { jsonBody } from "./http/json-body.js";
import { createMembersRoutes } from "./rest/members.routes.js";
import { onlyMethods } from "./http/only-methods.js";
import { Pace } from "./limits/pace.js";
import { LARGE_JSON } from "./limits/policies.js";

export interface ServerOptions {
  config: Config;
  log: Logger;
  database: Database;
  metrics: Metrics;
  /** Absent in a worker: health and metrics alone. */
  api?: Omit<Api, "tail" | "feedDelay" | "close">;
}

export interface AtlasServer {
  /** @throws ConfigError when the port cannot be had. */
  listen(): Promise<{ port: number; url: string }>;
  /** From now on `/readyz` answers 503. */
  failReadiness(): void;
  /** Takes no more connections, ends event streams and lets requests in flight or on their way end, for at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const GRAPHQL_BODY_LIMIT = "8mb";
/** For a request to arrive, and for as long again to be answered. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** A request or an answer of which nothing comes and nothing goes: its client has stopped reading, or is gone. */
const SILENCE_MS = 60_000;
/** Between requests. Proxies and load balancers keep theirs for 60 s: who keeps them for less, ends one that is used just then. */
const KEEP_ALIVE_MS = 75_000;
/** For requests to come that are on their way when a shutdown begins. */
const LINGER_MS = 500;
const SLOW_REQUEST_MS = 1_000;
const READY_TIMEOUT_MS = 2_000;
/** How long an answer about the database holds, so that probes cannot load it. */
const READY_KEPT_MS = 1_000;
const EXPOSED_HEADERS = [
  "Idempotency-Replayed",
  "RateLimit",
  "RateLimit-Policy",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "Retry-After",
  "X-Event-Cursor",
  "X-Query-Cost",
  "X-Query-Cost-Remaining",
  "X-Request-Id",
];

/** The process's one HTTP server: health and metrics, and, with the API, REST, GraphQL and its WebSocket. */
export function createServer({ config, log, database, metrics, api }: ServerOptions): AtlasServer {
  let ready = true;
  const closing = new AbortController();
  const app = express();
  app.disable("x-powered-by").disable("etag").set("trust proxy", config.trustProxy).set("query parser", "simple");
  app.response.json = jsonLine;
  app.use(
    identify,
    observe(log, metrics),
    secure(),
    cors({ origin: corsOrigin(config), exposedHeaders: EXPOSED_HEADERS, maxAge: 600 }),
  );
  app.route("/").get(createFrontPage(config)).all(onlyMethods("GET, HEAD"));
  mountHealth(app, { database, metrics, isReady: () => ready });
  if (api !== undefined) {
    const { signIn, middleware } = api.graphql;
    const bodies = new Pace(LARGE_JSON);
    const graphql = [signIn, ...jsonBody(GRAPHQL_BODY_LIMIT, bodies), middleware];
    const others = [onlyMethods("GET, POST"), createErrorHandler(graphqlBody)];
    app.route("/graphql").get(graphql).post(graphql).all(others);
    const { legacyStatusNames } = config;
    app.use(createJobEventsRoutes({ ...api, legacyStatusNames, closing: closing.signal }));
    app.use(createJobsRoutes({ ...api, legacyStatusNames, bodies, closing: closing.signal }));
    app.use(createMembersRoutes(api));
  }
  app.use(() => {
    throw new AtlasError("not_found", "There is no such route");
  });
  app.use(createErrorHandler());

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
  server.setTimeout(SILENCE_MS);
  const drain = prepareDrain(server);
  api?.graphql.serveWebSocket(server, app.get("trust proxy fn") as Trust);
  return {
    listen: () => listen(server, config),
    failReadiness: () => {
      ready = false;
    },
    async close(graceMs) {
      closing.abort();
      await Promise.race([drain(), sleep(graceMs, undefined, { ref: false })]);
      server.closeAllConnections();
      server.close();
    },
  };
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

/** Answers JSON as a line that ends, so that a terminal's prompt stands on the next one. */
function jsonLine(this: Response, body: unknown): Response {
  return this.type("json").send(`${JSON.stringify(body)}\n`);
}

/** Names each request, as its client did or anew, and says when it is given up. */
const identify: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  const requestId = given !== undefined && /^[\w.-]{1,100}$/.test(given) ? given : randomUUID();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const scope: RequestScope = { requestId, deadlineAt: performance.now() + 2 * REQUEST_TIMEOUT_MS, gone: gone.signal };
  Object.assign(response.locals, { requestId, scope });
  response.setHeader("X-Request-Id", requestId);
  response.setHeader("Cache-Control", "no-store");
  next();
};

/** Writes one line and one observation for each request once it is over, with the cause of a failure that is ours. */
function observe(log: Logger, metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const { method, path } = request;
    const startedAt = performance.now();
    response.once("close", () => {
      const durationMs = performance.now() - startedAt;
      // 499 as nginx has it: the client went away before its answer was written.
      const status = response.writableFinished ? response.statusCode : 499;
      const route = (request.route as { path: string } | undefined)?.path ?? "other";
      metrics.observeRequest({ method, route, status }, durationMs / 1000);
      const { requestId, failure } = response.locals as { requestId: string; failure?: unknown };
      const line = { requestId, method, path, status, durationMs: Math.round(durationMs) };
      if (status >= 500) log[status === 500 ? "error" : "warn"]({ ...line, err: failure }, "a request failed");
      else log[durationMs >= SLOW_REQUEST_MS ? "info" : "debug"](line, "request");
    });
    next();
  };
}

function secure(): RequestHandler {
  return helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  });
}

function corsOrigin({ corsOrigins }: Config): boolean | string | string[] {
  if (corsOrigins.includes("*")) return "*";
  return corsOrigins.length === 0 ? false : [...corsOrigins];
}

function mountHealth(
  app: Express,
  { database, metrics, isReady }: { database: Database; metrics: Metrics; isReady: () => boolean },
): void {
  const answers = databaseCheck(database);
  app
    .route("/healthz")
    .get((_request, response) => {
      response.json({ ok: true });
    })
    .all(onlyMethods("GET, HEAD"));
  app
    .route("/readyz")
    .get(async (_request, response) => {
      if (!isReady() || !(await answers())) {
        throw new AtlasError("unavailable", "Not ready to serve", { retryAfterSeconds: 2 });
      }
      response.json({ ok: true });
    })
    .all(onlyMethods("GET, HEAD"));
  app
    .route("/metrics")
    .get(async (_request, response) => {
      const { contentType, body } = await metrics.text();
      response.type(contentType).send(body);
    })
    .all(onlyMethods("GET, HEAD"));
}

/** Whether the database answers in time. Probes that come together, or soon after, share one question. */
function databaseCheck(database: Database): () => Promise<boolean> {
  let asked: Promise<boolean> | null = null;
  const ask = async (): Promise<boolean> => {
    const answered = database
      .transaction({ role: "feed" }, (tx) => tx.query("/* server.ready */ select 1"))
      .then(
        () => true,
        () => false,
      );
    return Promise.race([answered, sleep(READY_TIMEOUT_MS, false, { ref: false })]);
  };
  const forget = (): void => {
    asked = null;
  };
  return () => (asked ??= ask().finally(() => void setTimeout(forget, READY_KEPT_MS).unref()));
}

/** What fails before GraphQL has the request, such as its body, in GraphQL's shape. */
const graphqlBody: ErrorBody = ({ code, message, retryAfterSeconds }, requestId) => ({
  errors: [
    {
      message,
      extensions: {
        code: ERRORS[code].graphql,
        requestId,
        ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      },
    },
  ],
});

/**
 * Follows a server's connections, so that it can stop taking them and end each as soon as it owes no answer. Node's own
 * `close` cuts off an answer that is still on its way to a slow reader, and a request that is on its way here.
 * @returns begins the drain; the promise is fulfilled when the last connection is gone.
 */
function prepareDrain(server: http.Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  const owed = new Set<ServerResponse>();
  let draining = false;
  let lingering = true;
  const endIdle = (): void => {
    const busy = new Set([...owed].map((response) => response.req.socket));
    for (const socket of sockets) if (!busy.has(socket)) socket.destroySoon();
  };
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // Before whoever answers it.
  server.prependListener("request", (_request, response) => {
    if (draining) response.setHeader("Connection", "close");
    owed.add(response);
    response.once("close", () => {
      owed.delete(response);
      if (draining && !lingering) endIdle();
    });
  });
  return async () => {
    draining = true;
    for (const response of owed) if (!response.headersSent) response.setHeader("Connection", "close");
    // Connections that wait to be taken would be reset: a whole turn of the event loop takes them.
    await nextTurn();
    await nextTurn();
    const gone = new Promise<void>((resolve) => net.Server.prototype.close.call(server, () => resolve()));
    await Promise.race([gone, sleep(LINGER_MS, undefined, { ref: false })]);
    lingering = false;
    endIdle();
    await gone;
  };
}
