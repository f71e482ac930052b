import { setTimeout as sleep } from "node:timers/promises";
import { Router } from "express";
import type { Database } from "../database/database.js";
import { AtlasError } from "../errors.js";
import type { Metrics } from "../metrics.js";
import { onlyMethods } from "./only-methods.js";

export interface HealthOptions {
  database: Database;
  metrics: Pick<Metrics, "text">;
  /** Whether the service takes requests: false from the moment that it shuts down. */
  isReady: () => boolean;
}

const READY_TIMEOUT_MS = 2_000;
/** For how long an answer about the database is given again: so probes ask it once a second at most. */
const READY_KEPT_MS = 1_000;

/** The routes for whoever operates the service: `/healthz`, `/readyz` and `/metrics`. They take no token. */
export function createHealthRoutes({ database, metrics, isReady }: HealthOptions): Router {
  const router = Router();
  const answers = databaseCheck(database);
  router
    .route("/healthz")
    .get((_request, response) => {
      response.json({ ok: true });
    })
    .all(onlyMethods("GET, HEAD"));
  router
    .route("/readyz")
    .get(async (_request, response) => {
      if (!isReady() || !(await answers())) {
        throw new AtlasError("unavailable", "Not ready to serve", { retryAfterSeconds: 2 });
      }
      response.json({ ok: true });
    })
    .all(onlyMethods("GET, HEAD"));
  router
    .route("/metrics")
    .get(async (_request, response) => {
      const { contentType, body } = await metrics.text();
      response.type(contentType).send(body);
    })
    .all(onlyMethods("GET, HEAD"));
  return router;
}

/** Asks whether the database answers in time. Probes within the time above share one question. */
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
