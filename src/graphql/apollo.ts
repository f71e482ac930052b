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
  /** Whether errors leave out suggestions: names of the schema that are like an unknown one. */
  production: boolean;
  log: Logger;
}

/** Makes the Apollo Server that answers queries and mutations over HTTP; it must be started. */
export function createApollo({ schema, admission, production, log }: ApolloOptions): ApolloServer<GraphqlContext> {
  return new ApolloServer<GraphqlContext>({
    schema,
    formatError: (formatted, thrown) => withRequestId(formatError(formatted, thrown), requestIds.getStore() ?? ""),
    executionOptions: { maxCoercionErrors: ERROR_REPORTS.errors },
    validationOptions: VALIDATION,
    hideSchemaDetailsFromClientErrors: production,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    // A GET must have one of these headers, since a page of another origin cannot send them without a preflight. urql uses GET.
    csrfPrevention: {
      requestHeaders: ["authorization", "x-tenant-id", "x-apollo-operation-name", "apollo-require-preflight"],
    },
    // Not promised to clients. A request could name its document by a hash, and `checkDocument` would not see it.
    persistedQueries: false,
    // A store of parsed documents saves less than a tenth of a request, and takes 30 MiB once a client has filled it with
    // different documents.
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

/** The id of the request that is answered: Apollo formats some errors before there is a context to read it from. */
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
        async didResolveOperation({ document, request, contextValue: { viewer, setHeaders } }) {
          const { operationName, variables } = request;
          const charge = await admission.admitOperation(document, { operationName, variables, viewer }, "http");
          // Not as Apollo's own headers, which it drops where it cannot answer in a media type that the client accepts.
          setHeaders(costHeaders(charge));
        },
      }),
  };
}

/** Logs what failed, and sets the status and the headers that are promised. */
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

/**
 * Whether a client knows the older media type alone. It reads a body only from an answer with status 200, and takes any other
 * status for a failure of the network.
 */
export function wantsOldJson(accept: string): boolean {
  return accept.includes("application/json") && !accept.includes("application/graphql-response+json");
}
