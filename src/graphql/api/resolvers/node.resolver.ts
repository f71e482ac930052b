import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, ID, Info, Query, Resolver } from "type-graphql";
import { memberKey } from "../../../auth/authenticator.js";
import { isUuid } from "../../../bounds/uuid.js";
import { type GraphqlContext, viewerOf } from "../context.js";
import { costOfRow } from "../complexity.js";
import { selectedJob } from "../selected-job.js";
import { NodeType } from "../types/node.js";

/** The query by which clients with a cache, as Relay, read again what they have. */
@Resolver()
export class NodeResolver {
  @Query(() => NodeType, {
    complexity: costOfRow,
    nullable: true,
    description: "Whatever has this id: a job, or the viewer; null: there is none.",
  })
  async node(
    @Arg("id", () => ID, { description: "As its `id` says." }) id: string,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<object | null> {
    const viewer = viewerOf(context);
    if (id === memberKey(viewer)) return viewer;
    return isUuid(id) ? selectedJob(context, info, id) : null;
  }
}
