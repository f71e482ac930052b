/** @jest-environment <rootDir>/test/foreign/apollo-integration.environment.ts */
import { randomUUID } from "node:crypto";
import { ApolloServer, type BaseContext } from "@apollo/server";
import { defineIntegrationTestSuite } from "@apollo/server-integration-testsuite";
import { Authenticator } from "../../src/auth/authenticator.js";
import { MembershipWatch } from "../../src/auth/membership-watch.js";
import { TokenVerifier } from "../../src/auth/token-verifier.js";
import { loadConfig } from "../../src/config.js";
import { answerWith, type GraphqlServer } from "../../src/graphql/graphql-server.js";
import { createMetrics, type Metrics } from "../../src/metrics.js";
import { createServer } from "../../src/server.js";
import { startApi, type TestApi } from "../support/api.js";
import { silent } from "../support/database.js";

const config = { ...loadConfig({}), port: 0 };
const rules = { key: { kind: "secret", secret: randomUUID() }, issuer: null, audience: null } as const;

let api: TestApi;
let authenticator: Authenticator;
let memberships: MembershipWatch;
let metrics: Metrics;
beforeAll(async () => {
  api = await startApi();
  authenticator = new Authenticator(new TokenVerifier(rules), api.database);
  memberships = new MembershipWatch(authenticator, silent);
  metrics = createMetrics(api.database);
});
afterAll(async () => {
  memberships.close();
  await api.close();
});

const emptyContext = (): Promise<BaseContext> => Promise.resolve({});

defineIntegrationTestSuite(async (options, { context = emptyContext } = {}) => {
  const apollo = new ApolloServer(options);
  await apollo.start();
  const graphql: GraphqlServer = {
    middleware: answerWith(apollo, context),
    serveWebSocket: () => undefined,
    close: () => Promise.resolve(),
  };
  const { database, jobs, events } = api;
  const services = { jobs, events, authenticator, memberships, graphql };
  const server = createServer({ config, log: silent, database, metrics, api: services });
  const { url } = await server.listen();
  return { server: apollo, url: `${url}/graphql`, extraCleanup: () => server.close(0) };
});
