import type { RequestHandler } from "express";
import { pino } from "pino";
import { type Config, loadConfig } from "../../src/config.js";
import type { Database } from "../../src/database/database.js";
import { createGraphqlRoutes } from "../../src/graphql/graphql-routes.js";
import { Pace } from "../../src/limits/pace.js";
import { LARGE_JSON } from "../../src/limits/policies.js";
import { createMetrics } from "../../src/metrics.js";
import { type AtlasServer, createServer } from "../../src/server.js";
import { useDatabase } from "../support/database.js";
import { atEnd } from "../support/use.js";

/** A line of the log. */
export type Line = Record<string, unknown> & { err?: { message: string; stack: string } };

/** A server without surfaces of its own, and what it has logged. */
export interface Served {
  url: string;
  port: number;
  server: AtlasServer;
  lines: Line[];
}

const signIn: RequestHandler = (_request, _response, next) => next();
const bodies = new Pace(LARGE_JSON);

export const own = useDatabase();

/** Serves one handler in GraphQL's place, or health and metrics alone; keeps what is logged. */
export async function serve(
  graphql?: RequestHandler,
  settings: Partial<Config> = {},
  database: Database = own.database,
): Promise<Served> {
  const lines: Line[] = [];
  const server = createServer({
    config: { ...loadConfig({}), port: 0, ...settings },
    log: pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as Line) }),
    database,
    metrics: createMetrics(database),
    surfaces: graphql === undefined ? [] : [{ routes: () => createGraphqlRoutes({ signIn, answer: graphql, bodies }) }],
  });
  atEnd(() => server.close(0));
  return { ...(await server.listen()), server, lines };
}
