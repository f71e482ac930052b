import "reflect-metadata";
import type { GraphQLSchema } from "graphql";
import { buildSchema } from "type-graphql";
import { JobMutationResolver } from "./resolvers/job-mutation.resolver.js";
import { JobStatusChangeResolver } from "./resolvers/job-status-change.resolver.js";
import { JobResolver } from "./resolvers/job.resolver.js";
import { ViewerResolver } from "./resolvers/viewer.resolver.js";

/** The schema, from the decorated classes; the inputs' bounds are the services' business. */
export function createSchema(): Promise<GraphQLSchema> {
  return buildSchema({
    resolvers: [JobResolver, ViewerResolver, JobMutationResolver, JobStatusChangeResolver],
    validate: false,
    // Asked for by the library, and never used: every subscription brings its own stream.
    pubSub: { publish: unused, subscribe: unused },
  });
}

function unused(): never {
  throw new Error("subscriptions read the feed");
}
