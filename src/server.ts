import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "./config.js";
import type { Database } from "./database/database.js";
import { AtlasError } from "./errors.js";
import { createFrontPage } from "./front-page.js";
import { createApp } from "./http/app.js";
import { browserHeaders } from "./http/browser-headers.js";
import { prepareDrain } from "./http/drain.js";
import { createErrorHandler } from "./http/error-handler.js";
import { createHealthRoutes } from "./http/health.js";
import { createHttpServer } from "./http/http-server.js";
import { listen } from "./http/listen.js";
import { onlyMethods } from "./http/only-methods.js";
import { logRequests } from "./http/request-log.js";
import { openScope } from "./http/request-scope.js";
import type { Surface } from "./http/surface.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";

export interface ServerOptions {
  config: Config;
  log: Logger;
  database: Database;
  metrics: Metrics;
  /** Through which the API is asked; none in a worker, which serves health and metrics alone. */
  surfaces: readonly Surface[];
}

export interface AtlasServer {
  /** @throws ConfigError when the port cannot be had. */
  listen(): Promise<{ port: number; url: string }>;
  /** From now on `/readyz` answers 503. */
  failReadiness(): void;
  /** Closes the surfaces' sockets; no more are taken, requests still are. */
  closeSockets(): Promise<void>;
  /**
   * Takes no more connections, ends event streams, lets requests in flight or on their way end for at most `graceMs`, and
   * closes the surfaces.
   */
  close(graceMs: number): Promise<void>;
}

/** The process's one HTTP server: what is mounted where. */
export function createServer({ config, log, database, metrics, surfaces }: ServerOptions): AtlasServer {
  let ready = true;
  const closing = new AbortController();
  const app = createApp(config);
  app.use(openScope, logRequests(log, metrics), ...browserHeaders(config));
  app.route("/").get(createFrontPage(config)).all(onlyMethods("GET, HEAD"));
  app.use(createHealthRoutes({ database, metrics, isReady: () => ready }));
  for (const surface of surfaces) app.use(surface.routes(closing.signal));
  app.use(() => {
    throw new AtlasError("not_found", "There is no such route");
  });
  app.use(createErrorHandler());

  const server = createHttpServer(app);
  const drain = prepareDrain(server);
  const trusts = app.get("trust proxy fn") as (address: string, hop: number) => boolean;
  for (const surface of surfaces) surface.serveUpgrades?.(server, trusts);
  return {
    listen: () => listen(server, config),
    failReadiness: () => {
      ready = false;
    },
    async closeSockets() {
      await Promise.all(surfaces.map(async (surface) => surface.closeSockets?.()));
    },
    async close(graceMs) {
      closing.abort();
      await Promise.race([drain(), sleep(graceMs, undefined, { ref: false })]);
      server.closeAllConnections();
      server.close();
      await Promise.all(surfaces.map(async (surface) => surface.close?.()));
    },
  };
}
