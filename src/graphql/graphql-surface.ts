import { type Response, Router } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import type { MembershipWatch } from "../auth/membership-watch.js";
import type { Config } from "../config.js";
import { localsOf } from "../http/request-locals.js";
import { signIn } from "../http/sign-in.js";
import type { Surface } from "../http/surface.js";
import type { Pace } from "../limits/pace.js";
import type { Logger } from "../log.js";
import { allowanceHeaders } from "../services/create-limit.js";
import type { Services } from "../services/services.js";
import { createContext, type GraphqlContext } from "./api/context.js";
import { Admission } from "./admission/admission.js";
import { answerWith, createApollo } from "./apollo.js";
import { checkDocument } from "./check-document.js";
import { createGraphiql } from "./graphiql.js";
import { createGraphqlRoutes } from "./graphql-routes.js";
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
  const admission = new Admission(schema, config.production);
  const apollo = createApollo({ schema, admission, production: config.production, log });
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

function contextOf(response: Response, { services }: GraphqlSurfaceOptions): GraphqlContext {
  const { viewer = null, scope } = localsOf(response);
  return createContext({
    viewer,
    services,
    onAllowance: (allowance) => response.set(allowanceHeaders(allowance)),
    setHeaders: (headers) => response.set(headers),
    requestId: scope.requestId,
  });
}
