/** @jest-environment <rootDir>/test/foreign/apollo-integration.environment.ts */
import { ApolloServer, type BaseContext } from "@apollo/server";
import { defineIntegrationTestSuite } from "@apollo/server-integration-testsuite";
import { loadConfig } from "../../src/config.js";
import { answerWith } from "../../src/graphql/apollo.js";
import { createGraphqlRoutes } from "../../src/graphql/graphql-routes.js";
import { Pace } from "../../src/limits/pace.js";
import { LARGE_JSON } from "../../src/limits/policies.js";
import { createMetrics, type Metrics } from "../../src/metrics.js";
import { createServer } from "../../src/server.js";
import { useApi } from "../support/api.js";
import { silent } from "../support/database.js";

const config = { ...loadConfig({}), port: 0 };

const api = useApi();
let metrics: Metrics;
beforeAll(async () => {
  metrics = createMetrics(api.database);
});

const emptyContext = (): Promise<BaseContext> => Promise.resolve({});

defineIntegrationTestSuite(async (options, { context = emptyContext } = {}) => {
  const apollo = new ApolloServer(options);
  await apollo.start();
  const routes = createGraphqlRoutes({
    // The suite brings nobody who could sign in.
    signIn: (_request, _response, next) => next(),
    answer: answerWith(apollo, context),
    bodies: new Pace(LARGE_JSON),
  });
  const surfaces = [{ routes: () => routes }];
  const server = createServer({ config, log: silent, database: api.database, metrics, surfaces });
  const { url } = await server.listen();
  return { server: apollo, url: `${url}/graphql`, extraCleanup: () => server.close(0) };
});
