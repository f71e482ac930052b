import { Arg, Ctx, FieldResolver, Int, Query, Resolver, Root } from "type-graphql";
import { PAGES } from "../../../limits/policies.js";
import { type GraphqlContext, viewerOf } from "../context.js";
import { connectionOf } from "../connection.js";
import { costOfPage, costOfSome } from "../complexity.js";
import { FIRST, LAST } from "../page-arguments.js";
import { JobAttemptType } from "../types/job-attempt.js";
import { JobEventConnectionType } from "../types/job-event.js";
import { JobType } from "../types/job.js";
import { EventCursor } from "../types/scalars.js";

/** More than a job has by default, since a retry allows more. */
const ATTEMPTS = 10;

/** The log of events: the tenant's, a job's own, and a job's attempts. */
@Resolver(() => JobType)
export class JobEventResolver {
  @Query(() => JobEventConnectionType, {
    complexity: costOfPage,
    description: "The tenant's events, in the order that subscribers get them; as far back as they are kept.",
  })
  async jobEvents(
    @Arg("first", () => Int, FIRST) first: number | null,
    @Arg("after", () => EventCursor, { nullable: true, description: "After this place." }) after: string | null,
    @Ctx() context: GraphqlContext,
  ): Promise<JobEventConnectionType> {
    const page = await context.services.events.tenantEvents(viewerOf(context), { first, after });
    return { ...connectionOf(page), eventCursor: page.eventCursor };
  }

  @FieldResolver(() => JobEventConnectionType, {
    complexity: costOfPage,
    description: "The job's own events, as far back as they are kept.",
  })
  async events(
    @Root() job: JobType,
    @Arg("first", () => Int, FIRST) first: number | null,
    @Arg("after", () => String, { nullable: true, description: "After the edge with this cursor." })
    after: string | null,
    @Arg("last", () => Int, LAST)
    last: number | null,
    @Arg("before", () => String, { nullable: true, description: "Before the edge with this cursor." })
    before: string | null,
    @Ctx() context: GraphqlContext,
  ): Promise<JobEventConnectionType> {
    const page = await context.services.jobHistory.events(viewerOf(context), job.id, { first, after, last, before });
    return { ...connectionOf(page), eventCursor: page.eventCursor };
  }

  @FieldResolver(() => [JobAttemptType], {
    complexity: costOfSome(ATTEMPTS),
    description: `Its attempts, oldest first; the last ${PAGES.attempts} of those kept.`,
  })
  attempts(@Root() job: JobType, @Ctx() context: GraphqlContext): Promise<JobAttemptType[]> {
    return context.services.jobHistory.attempts(viewerOf(context), job.id);
  }
}
