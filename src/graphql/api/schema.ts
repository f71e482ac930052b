import "reflect-metadata";
import type { GraphQLSchema } from "graphql";
import { buildSchema } from "type-graphql";
import { JobEventResolver } from "./resolvers/job-event.resolver.js";
import { JobMutationResolver } from "./resolvers/job-mutation.resolver.js";
import { JobStatusChangeResolver } from "./resolvers/job-status-change.resolver.js";
import { JobResolver } from "./resolvers/job.resolver.js";
import { MemberResolver } from "./resolvers/member.resolver.js";
import { NodeResolver } from "./resolvers/node.resolver.js";
import { ViewerResolver } from "./resolvers/viewer.resolver.js";

const ROOTS = [
  "What can be read, over HTTP.",
  "What can be changed, over HTTP.",
  "What can be watched, over WebSocket (graphql-transport-ws).",
];

/** Builds the schema from the decorated classes. Inputs are checked by the services, not here. */
export async function createSchema(): Promise<GraphQLSchema> {
  const schema = await buildSchema({
    resolvers: [
      JobResolver,
      ViewerResolver,
      JobEventResolver,
      MemberResolver,
      NodeResolver,
      JobMutationResolver,
      JobStatusChangeResolver,
    ],
    validate: false,
    // Required by the library, and never called: every subscription brings its own stream.
    pubSub: { publish: unused, subscribe: unused },
  });
  // The library takes no descriptions of the root types.
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const [index, description] of ROOTS.entries()) Object.assign(roots[index] ?? {}, { description });
  return schema;
}

function unused(): never {
  throw new Error("subscriptions read the feed");
}
