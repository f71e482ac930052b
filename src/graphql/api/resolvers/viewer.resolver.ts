import { Ctx, FieldResolver, ID, Query, Resolver, Root } from "type-graphql";
import { memberKey } from "../../../auth/authenticator.js";
import { type GraphqlContext, viewerOf } from "../context.js";
import { DailyJobsType, ViewerType } from "../types/viewer.js";

/** The query for who asks. */
@Resolver(() => ViewerType)
export class ViewerResolver {
  @Query(() => ViewerType, { description: "Who asks." })
  viewer(@Ctx() context: GraphqlContext): ViewerType {
    return viewerOf(context);
  }

  @FieldResolver(() => ID, { description: "The viewer's own among all that there is." })
  id(@Root() viewer: ViewerType): string {
    return memberKey(viewer);
  }

  @FieldResolver(() => DailyJobsType, { complexity: 1, description: "The jobs that the viewer may create today." })
  dailyJobs(@Ctx() context: GraphqlContext): Promise<DailyJobsType> {
    return context.services.members.dailyJobs(viewerOf(context));
  }
}
