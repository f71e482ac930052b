import { Ctx, FieldResolver, Query, Resolver } from "type-graphql";
import { type GraphqlContext, viewerOf } from "../context.js";
import { DailyJobsType, ViewerType } from "../types/viewer.js";

/** The query for who asks. */
@Resolver(() => ViewerType)
export class ViewerResolver {
  @Query(() => ViewerType, { description: "Who asks." })
  viewer(@Ctx() context: GraphqlContext): ViewerType {
    return viewerOf(context);
  }

  @FieldResolver(() => DailyJobsType, { complexity: 1, description: "The jobs that the viewer may create today." })
  dailyJobs(@Ctx() context: GraphqlContext): Promise<DailyJobsType> {
    return context.jobs.dailyJobs(viewerOf(context));
  }
}
