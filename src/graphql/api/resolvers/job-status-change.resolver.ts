import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, FieldResolver, Info, Resolver, Root, Subscription } from "type-graphql";
import type { StatusChange } from "../../../services/event-service.js";
import { type GraphqlContext, viewerOf } from "../context.js";
import { costOfRow } from "../complexity.js";
import { selectedJob } from "../selected-job.js";
import { JobStatusChangeFilterInput } from "../types/inputs.js";
import { JobStatusChangeType } from "../types/job-status-change.js";
import { type JobResult, JobType } from "../types/job.js";
import { EventCursor } from "../types/scalars.js";

interface Arguments {
  filter?: JobStatusChangeFilterInput | null;
  after?: string | null;
}

/** The subscription. What it sends depends on the tenant and the arguments alone, and on the user only for `JobAttempt.stack`. */
@Resolver(() => JobStatusChangeType)
export class JobStatusChangeResolver {
  @Subscription(() => JobStatusChangeType, {
    description: "Every status change of the tenant's jobs after a cursor, each job's in version order, at least once.",
    subscribe: ({ args, context }: { args: Arguments; context: GraphqlContext }) =>
      context.services.events.changes(viewerOf(context), args.filter ?? null, args.after ?? null),
  })
  jobStatusChanged(
    @Root() change: StatusChange,
    @Arg("filter", () => JobStatusChangeFilterInput, { nullable: true, description: "Which changes." })
    _filter: JobStatusChangeFilterInput | null,
    @Arg("after", () => EventCursor, { nullable: true, description: "From this place on; from now on without it." })
    _after: string | null,
  ): JobStatusChangeType {
    return change;
  }

  @FieldResolver(() => JobType, {
    complexity: costOfRow,
    nullable: true,
    description: "The job as it is now; null once it is deleted.",
  })
  job(
    @Root() change: StatusChange,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<JobResult | null> {
    return selectedJob(context, info, change.jobId);
  }
}
