import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, FieldResolver, ID, Info, Int, Query, Resolver, Root } from "type-graphql";
import { type GraphqlContext, viewerOf } from "../context.js";
import { connectionOf } from "../connection.js";
import { costOfJobs, costOfRow } from "../complexity.js";
import { FIRST, LAST } from "../page-arguments.js";
import { selectedJob } from "../selected-job.js";
import { selectsPayload } from "../payload-selection.js";
import { JobConnectionType } from "../types/job-connection.js";
import { type JobResult, JobType } from "../types/job.js";
import { JobFilterInput } from "../types/inputs.js";

/** The queries for jobs. */
@Resolver(() => JobConnectionType)
export class JobResolver {
  @Query(() => JobType, {
    complexity: costOfRow,
    nullable: true,
    description: "One job; null: there is none with this id.",
  })
  job(
    @Arg("id", () => ID, { description: "A UUID." }) id: string,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<JobResult | null> {
    return selectedJob(context, info, id);
  }

  @Query(() => JobConnectionType, {
    complexity: costOfJobs,
    description:
      "The tenant's jobs: highest priority first, then newest. Where inputs and outputs are selected and large, a page has " +
      "fewer than asked for: hasNextPage tells.",
  })
  async jobs(
    @Arg("filter", () => JobFilterInput, { nullable: true, description: "Which ones." })
    filter: JobFilterInput | null,
    @Arg("first", () => Int, FIRST)
    first: number | null,
    @Arg("after", () => String, { nullable: true, description: "After the edge with this cursor." })
    after: string | null,
    @Arg("last", () => Int, LAST)
    last: number | null,
    @Arg("before", () => String, { nullable: true, description: "Before the edge with this cursor." })
    before: string | null,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<JobConnectionType> {
    const viewer = viewerOf(context);
    const part = { filter, first, after, last, before };
    const payloads = selectsPayload(info) ? context.payloads : null;
    const page =
      payloads === null
        ? await context.services.jobs.listSummaries(viewer, part)
        : await context.services.jobs.list(viewer, part, payloads);
    return { ...connectionOf<JobResult>(page), eventCursor: page.eventCursor, filter };
  }

  @FieldResolver(() => Int, { complexity: 1, description: "How many jobs pass the filter, on all pages together." })
  totalCount(@Root() { filter }: JobConnectionType, @Ctx() context: GraphqlContext): Promise<number> {
    return context.services.jobs.count(viewerOf(context), filter);
  }
}
