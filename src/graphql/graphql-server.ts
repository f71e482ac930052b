import { AsyncLocalStorage } from "node:async_hooks";
import type { Server } from "node:http";
import { ApolloServer, type ApolloServerPlugin } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from "@apollo/server/plugin/disabled";
import { expressMiddleware } from "@as-integrations/express5";
import { type Request, type RequestHandler, type Response, Router } from "express";
import { GraphQLError } from "graphql";
import type { Authenticator } from "../auth/authenticator.js";
import { credentialsOf } from "../auth/credentials.js";
import type { MembershipWatch } from "../auth/membership-watch.js";
import type { Viewer } from "../auth/viewer.js";
import type { Config } from "../config.js";
import type { Logger } from "../log.js";
import { allowanceHeaders } from "../services/create-limit.js";
import type { EventService } from "../services/event-service.js";
import type { JobService } from "../services/job-service.js";
import type { GraphqlContext } from "./context.js";
import { formatError, logUnknownErrors, retryAfterOf, withRequestId } from "./errors.js";
import { createGraphiql } from "./graphiql.js";
import { extraRules, MAX_TOKENS } from "./limits.js";
import { asksForSchemaOnly } from "./schema-only.js";
import { createSchema } from "./schema.js";
import { SocketServer } from "./socket-server.js";

export interface GraphqlServerOptions {
  jobs: JobService;
  events: EventService;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  config: Pick<Config, "production" | "corsOrigins">;
  log: Logger;
}

export interface GraphqlServer {
  /** For `/graphql`, behind a JSON body parser and what sets `response.locals.requestId`. */
  middleware: RequestHandler;
  /** Serves subscriptions on the upgrade requests of an HTTP server. */
  serveWebSocket(server: Server): void;
  /** Closes the sockets with 1001, then lets no more operation start. */
  close(): Promise<void>;
}

/** GraphQL: queries and mutations over HTTP, subscriptions over WebSocket, GraphiQL for a browser. */
export async function createGraphqlServer(options: GraphqlServerOptions): Promise<GraphqlServer> {
  const { authenticator, config, log } = options;
  const schema = await createSchema();
  const apollo = new ApolloServer<GraphqlContext>({
    schema,
    formatError: (formatted, thrown) => withRequestId(formatError(formatted, thrown), requestIds.getStore() ?? ""),
    validationRules: extraRules,
    parseOptions: { maxTokens: MAX_TOKENS },
    hideSchemaDetailsFromClientErrors: config.production,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    csrfPrevention: true,
    stopOnTerminationSignals: false,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      refuseSubscriptions,
      answerAsPromised(log),
    ],
  });
  await apollo.start();
  const sockets = new SocketServer({ schema, ...options });

  const middleware = Router();
  middleware.use(createGraphiql());
  middleware.use(signIn(authenticator, config.production));
  middleware.use(
    expressMiddleware(apollo, {
      context: ({ res }) => Promise.resolve(contextOf(res, options)),
    }),
  );
  return {
    middleware,
    serveWebSocket: (server) => sockets.serve(server),
    async close() {
      await sockets.close();
      await apollo.stop();
    },
  };
}

/** The request that an error is formatted for: Apollo refuses some before it has a context. */
const requestIds = new AsyncLocalStorage<string>();

/** Settles who asks before anything of the document is looked at. */
function signIn(authenticator: Authenticator, production: boolean): RequestHandler {
  return async (request: Request, response, next) => {
    try {
      response.locals["viewer"] = await authenticator.authenticate(credentialsOf(request.headers));
    } catch (error) {
      const asked = request.method === "GET" ? request.query : (request.body as Record<string, unknown> | undefined);
      if (production || !asksForSchemaOnly(asked?.["query"])) throw error;
      response.locals["viewer"] = null;
    }
    // The body parser leaves a request without a body undefined, which Apollo takes for a missing parser.
    request.body ??= {};
    requestIds.run(String(response.locals["requestId"]), next);
  };
}

function contextOf(response: Response, { jobs, events }: GraphqlServerOptions): GraphqlContext {
  return {
    viewer: response.locals["viewer"] as Viewer | null,
    jobs,
    events,
    onAllowance: (allowance) => response.set(allowanceHeaders(allowance)),
    requestId: String(response.locals["requestId"]),
  };
}

const refuseSubscriptions: ApolloServerPlugin<GraphqlContext> = {
  requestDidStart: () =>
    Promise.resolve({
      didResolveOperation({ operation }) {
        if (operation?.operation !== "subscription") return Promise.resolve();
        throw new GraphQLError("Subscriptions go over WebSocket on this path, with the graphql-transport-ws protocol", {
          extensions: { code: "BAD_REQUEST", http: { status: 400 } },
        });
      },
    }),
};

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
          const accept = request.http?.headers.get("accept") ?? "";
          const wantsOldJson =
            accept.includes("application/json") && !accept.includes("application/graphql-response+json");
          if (response.http.status === 400 && wantsOldJson) response.http.status = 200;
          return Promise.resolve();
        },
      }),
  };
}
