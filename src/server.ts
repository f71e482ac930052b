import { randomUUID } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import cors from "cors";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import helmet from "helmet";
import type { Authenticator } from "./auth/authenticator.js";
import type { Config } from "./config.js";
import type { Database } from "./database/database.js";
import { AtlasError, ERRORS } from "./errors.js";
import type { GraphqlServer } from "./graphql/graphql-server.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";
import { asAtlasError, createErrorHandler, sendError } from "./rest/error-handler.js";
import { createJobsRoutes, onlyMethods } from "./rest/jobs.routes.js";
import { jsonBody } from "./rest/json-body.js";
import type { JobService } from "./services/job-service.js";

export interface ServerOptions {
  config: Config;
  log: Logger;
  database: Database;
  metrics: Metrics;
  /** Absent in a worker: health and metrics alone. */
  api?: { jobs: JobService; authenticator: Authenticator; graphql: GraphqlServer };
}

export interface AtlasServer {
  /** @throws when the port cannot be had. */
  listen(): Promise<{ port: number; url: string }>;
  /** From now on `/readyz` answers 503. */
  failReadiness(): void;
  /** Takes no more connections and lets requests in flight end, for at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const GRAPHQL_BODY_LIMIT = "8mb";
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 10_000;
const READY_TIMEOUT_MS = 2_000;
const EXPOSED_HEADERS = [
  "RateLimit",
  "RateLimit-Policy",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "Retry-After",
  "X-Request-Id",
];

/** The process's one HTTP server: health and metrics, and, with the API, REST, GraphQL and its WebSocket. */
export function createServer({ config, log, database, metrics, api }: ServerOptions): AtlasServer {
  let ready = true;
  const app = express();
  app.disable("x-powered-by").disable("etag").set("trust proxy", config.trustProxy).set("query parser", "simple");
  app.use(
    identify(log, metrics),
    secure(),
    cors({ origin: corsOrigin(config), exposedHeaders: EXPOSED_HEADERS, maxAge: 600 }),
  );
  mountHealth(app, { database, metrics, isReady: () => ready });
  if (api !== undefined) {
    app.use("/graphql", ...jsonBody(GRAPHQL_BODY_LIMIT), api.graphql.middleware, graphqlErrors(log));
    app.use("/v1/jobs", createJobsRoutes({ ...api, legacyStatusNames: config.legacyStatusNames }));
  }
  app.use(() => {
    throw new AtlasError("not_found", "There is no such route");
  });
  app.use(createErrorHandler(log));

  const server = http.createServer({ requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS }, app);
  api?.graphql.serveWebSocket(server);
  return {
    listen: () => listen(server, config),
    failReadiness: () => {
      ready = false;
    },
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await Promise.race([closed, sleep(graceMs, undefined, { ref: false })]);
      server.closeAllConnections();
    },
  };
}

/** Names each request, and writes one line and one observation when it has been answered. */
function identify(log: Logger, metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const given = request.get("x-request-id");
    const requestId = given !== undefined && /^[\w.-]{1,100}$/.test(given) ? given : randomUUID();
    const startedAt = performance.now();
    response.locals["requestId"] = requestId;
    response.setHeader("X-Request-Id", requestId);
    response.setHeader("Cache-Control", "no-store");
    response.once("close", () => {
      const durationMs = performance.now() - startedAt;
      const status = response.statusCode;
      const route = `${request.baseUrl}${(request.route as { path?: string } | undefined)?.path ?? ""}` || "other";
      metrics.observeRequest(
        { method: request.method, route: status === 404 ? "other" : route, status },
        durationMs / 1000,
      );
      const line = { requestId, method: request.method, route, status, durationMs: Math.round(durationMs) };
      log[status >= 500 ? "warn" : "debug"](line, "request");
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
      if (isReady() && (await answers())) response.json({ ok: true });
      else sendError(response, new AtlasError("unavailable", "Not ready to serve", { retryAfterSeconds: 2 }));
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

/** Whether the database answers in time. Probes that come together share one question. */
function databaseCheck(database: Database): () => Promise<boolean> {
  let asking: Promise<boolean> | null = null;
  const ask = async (): Promise<boolean> => {
    const answered = database
      .transaction({ role: "feed" }, (tx) => tx.query("/* server.ready */ select 1"))
      .then(
        () => true,
        () => false,
      );
    return Promise.race([answered, sleep(READY_TIMEOUT_MS, false, { ref: false })]);
  };
  return () => (asking ??= ask().finally(() => (asking = null)));
}

/** What fails before GraphQL has the request, such as its body, in GraphQL's shape. */
function graphqlErrors(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(thrown);
      return;
    }
    const error = asAtlasError(thrown);
    const requestId = String(response.locals["requestId"]);
    if (error.code === "internal_error") log.error({ err: thrown, requestId }, "a request failed");
    if (error.retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(error.retryAfterSeconds));
    const { status, graphql } = ERRORS[error.code];
    response.status(status).json({ errors: [{ message: error.message, extensions: { code: graphql, requestId } }] });
  };
}

async function listen(server: http.Server, { port, host }: Config): Promise<{ port: number; url: string }> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return { port: bound, url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}` };
}
