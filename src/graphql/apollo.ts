import { AsyncLocalStorage } from "node:async_hooks";
import { ApolloServer, type ApolloServerPlugin, type BaseContext } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from "@apollo/server/plugin/disabled";
import { expressMiddleware } from "@as-integrations/express5";
import type { RequestHandler, Response } from "express";
import type { GraphQLSchema } from "graphql";
import { localsOf } from "../http/request-locals.js";
import { ERROR_REPORTS } from "../limits/policies.js";
import type { Logger } from "../log.js";
import { type Admission, VALIDATION } from "./admission/admission.js";
import { costHeaders } from "./admission/cost-limit.js";
import type { GraphqlContext } from "./api/context.js";
import { formatError, logUnknownErrors, retryAfterOf, withRequestId } from "./api/errors.js";

export interface ApolloOptions {
  schema: GraphQLSchema;
  admission: Admission;
  /** Whether errors leave out what the schema has, such as names like the one that is unknown. */
  production: boolean;
  log: Logger;
}

/** Apollo Server, which answers queries and mutations over HTTP; not started yet. */
export function createApollo({ schema, admission, production, log }: ApolloOptions): ApolloServer<GraphqlContext> {
  return new ApolloServer<GraphqlContext>({
    schema,
    formatError: (formatted, thrown) => withRequestId(formatError(formatted, thrown), requestIds.getStore() ?? ""),
    executionOptions: { maxCoercionErrors: ERROR_REPORTS.errors },
    validationOptions: VALIDATION,
    hideSchemaDetailsFromClientErrors: production,
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

/** A client of the older media type takes any status but 200 for a broken transport. */
export function wantsOldJson(accept: string): boolean {
  return accept.includes("application/json") && !accept.includes("application/graphql-response+json");
}
