import { AsyncLocalStorage } from "node:async_hooks";
import { ApolloServer, type ApolloServerPlugin, type BaseContext } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from "@apollo/server/plugin/disabled";
import { expressMiddleware } from "@as-integrations/express5";
import { type Request, type RequestHandler, type Response, Router } from "express";
import { GraphQLError } from "graphql";
import type { Authenticator } from "../auth/authenticator.js";
import type { MembershipWatch } from "../auth/membership-watch.js";
import type { Config } from "../config.js";
import { AtlasError } from "../errors.js";
import { localsOf } from "../http/request-locals.js";
import { signIn } from "../http/sign-in.js";
import type { Surface } from "../http/surface.js";
import type { Pace } from "../limits/pace.js";
import type { Logger } from "../log.js";
import { allowanceHeaders } from "../services/create-limit.js";
import type { Services } from "../services/services.js";
import { createContext, type GraphqlContext } from "./api/context.js";
import { Admission, VALIDATION } from "./admission/admission.js";
import { costHeaders } from "./admission/cost-limit.js";
import { readDocument } from "./admission/document.js";
import {
  asGraphqlError,
  formatError,
  logUnknownErrors,
  MAX_ERRORS,
  retryAfterOf,
  withRequestId,
} from "./api/errors.js";
import { createGraphiql } from "./graphiql.js";
import { createGraphqlRoutes } from "./graphql-routes.js";
import { asksForSchemaOnly } from "./admission/schema-only.js";
import { createSchema } from "./api/schema.js";
import { SocketServer } from "./socket/socket-server.js";

export interface GraphqlSurfaceOptions {
  services: Services;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  /** At which each user sends bodies. */
  bodies: Pace;
  config: Pick<Config, "production" | "corsOrigins" | "streamsPerUser" | "streamsPerTenant">;
  log: Logger;
}

/** GraphQL: queries and mutations over HTTP, subscriptions over WebSocket, and GraphiQL outside production. */
export async function createGraphqlSurface(options: GraphqlSurfaceOptions): Promise<Surface> {
  const { authenticator, bodies, config, log } = options;
  const schema = await createSchema();
  const admission = new Admission(schema);
  const apollo = new ApolloServer<GraphqlContext>({
    schema,
    formatError: (formatted, thrown) => withRequestId(formatError(formatted, thrown), requestIds.getStore() ?? ""),
    executionOptions: { maxCoercionErrors: MAX_ERRORS },
    validationOptions: VALIDATION,
    hideSchemaDetailsFromClientErrors: config.production,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    // No page of another origin can send these without asking first: clients that query by GET, as urql does, may.
    csrfPrevention: {
      requestHeaders: ["authorization", "x-tenant-id", "x-apollo-operation-name", "apollo-require-preflight"],
    },
    // Nobody was promised them, and each would be a way around what looks at a request's document.
    persistedQueries: false,
    // It saves less than a tenth of a request, and whoever sends ever new documents fills it: 30 MiB.
    documentStore: null,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    logger: log,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      admitOperations(admission),
      answerAsPromised(log),
    ],
  });
  await apollo.start();
  const sockets = new SocketServer({ schema, admission, ...options });

  const before = Router();
  if (!config.production) before.use(createGraphiql());
  // A stranger may ask for the schema alone, outside production.
  before.use(signIn(authenticator, { admitsStrangers: !config.production }));
  const answer = Router();
  answer.use(checkDocument);
  answer.use(answerWith(apollo, (response) => Promise.resolve(contextOf(response, options))));
  return {
    routes: () => createGraphqlRoutes({ signIn: before, answer, bodies }),
    serveUpgrades: (server, trusts) => sockets.serve(server, trusts),
    closeSockets: () => sockets.close(),
    close: () => apollo.stop(),
  };
}

/** The request that an error is formatted for: Apollo refuses some before it has a context. */
const requestIds = new AsyncLocalStorage<string>();

/** Lets an Apollo server, once it has started, answer requests behind a JSON body parser. */
export function answerWith<Context extends BaseContext>(
  apollo: ApolloServer<Context>,
  contextFor: (response: Response) => Promise<Context>,
): RequestHandler {
  const answer = expressMiddleware(apollo, { context: ({ res }) => contextFor(res) });
  return (request, response, next) => {
    // The body parser leaves a request without a body undefined, which Apollo takes for a missing parser.
    request.body ??= {};
    return requestIds.run(localsOf(response).scope.requestId, answer, request, response, next);
  };
}

/** Refuses a stranger who wants more than the schema, and a document that is too large. */
const checkDocument: RequestHandler = (request: Request, response, next) => {
  const { viewer, refusal, scope } = localsOf(response);
  // As Apollo reads it: Express's own parser stops after a thousand parameters.
  const query: unknown =
    request.method === "POST"
      ? (request.body as Record<string, unknown> | undefined)?.["query"]
      : new URLSearchParams(request.url.split("?").slice(1).join("?")).get("query");
  if (viewer === undefined && !asksForSchemaOnly(query)) throw refusal;
  try {
    if (typeof query === "string") readDocument(query);
  } catch (error) {
    if (error instanceof AtlasError) {
      const body = formatError({ message: error.message }, asGraphqlError(error));
      response.status(wantsOldJson(request.get("accept") ?? "") ? 200 : 400);
      response.json({ errors: [withRequestId(body, scope.requestId)] });
      return;
    }
    // A syntax error is Apollo's to tell.
    if (!(error instanceof GraphQLError)) throw error;
  }
  next();
};

/** A client of the older media type takes any status but 200 for a broken transport. */
function wantsOldJson(accept: string): boolean {
  return accept.includes("application/json") && !accept.includes("application/graphql-response+json");
}

function contextOf(response: Response, { services }: GraphqlSurfaceOptions): GraphqlContext {
  const { viewer = null, scope } = localsOf(response);
  return createContext({
    viewer,
    services,
    onAllowance: (allowance) => response.set(allowanceHeaders(allowance)),
    requestId: scope.requestId,
  });
}

/** Admits each operation before it runs, and tells what it costs. */
function admitOperations(admission: Admission): ApolloServerPlugin<GraphqlContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        async didResolveOperation({ document, request, response, contextValue: { viewer } }) {
          const { operationName, variables } = request;
          const charge = await admission.admitOperation(document, { operationName, variables, viewer }, "http");
          for (const [name, value] of Object.entries(costHeaders(charge))) response.http.headers.set(name, value);
        },
      }),
  };
}

/** Status, headers and request id as the contract has them. */
function answerAsPromised(log: Logger): ApolloServerPlugin<GraphqlContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        didEncounterErrors({ errors, contextValue }) {
          logUnknownErrors(log, contextValue.requestId, errors);
          return Promise.resolve();
        },
        willSendResponse({ request, response, errors = [] }) {
          const retryAfter = retryAfterOf(errors);
          if (retryAfter !== null) response.http.headers.set("retry-after", String(retryAfter));
          const oldJson = wantsOldJson(request.http?.headers.get("accept") ?? "");
          if (response.http.status === 400 && oldJson) response.http.status = 200;
          return Promise.resolve();
        },
      }),
  };
}
