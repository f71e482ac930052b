import { Arg, Ctx, Int, Query, Resolver } from "type-graphql";
import { type GraphqlContext, viewerOf } from "../context.js";
import { connectionOf } from "../connection.js";
import { costOfPage } from "../complexity.js";
import { FIRST } from "../page-arguments.js";
import { MemberConnectionType } from "../types/member.js";

/** The query for the tenant's members. */
@Resolver(() => MemberConnectionType)
export class MemberResolver {
  @Query(() => MemberConnectionType, {
    complexity: costOfPage,
    description: "The tenant's members and what they have used of today; for its owners.",
  })
  async members(
    @Arg("first", () => Int, FIRST)
    first: number | null,
    @Arg("after", () => String, { nullable: true, description: "After the edge with this cursor." })
    after: string | null,
    @Ctx() context: GraphqlContext,
  ): Promise<MemberConnectionType> {
    return connectionOf(await context.services.members.list(viewerOf(context), { first, after }));
  }
}
