import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, ID, Info, Mutation, Resolver } from "type-graphql";
import { CREATES } from "../../../limits/policies.js";
import { type GraphqlContext, viewerOf } from "../context.js";
import { costOfList, costOfRow } from "../complexity.js";
import { selectsPayload } from "../payload-selection.js";
import { CreateJobInputType } from "../types/inputs.js";
import {
  CancelJobPayload,
  CreateJobPayload,
  CreateJobsPayload,
  DeleteJobPayload,
  RetryJobPayload,
} from "../types/payloads.js";

const INPUT = ["input"] as const;
const JOB_ID = { description: "The job: a UUID." };

/** The mutations. */
@Resolver()
export class JobMutationResolver {
  @Mutation(() => CreateJobPayload, {
    description: "Creates a job: one of the minute's creates, and one of the day's; a replay costs neither.",
  })
  async createJob(
    @Arg("input", () => CreateJobInputType, { description: "The job." }) input: CreateJobInputType,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<CreateJobPayload> {
    const payloads = selectsPayload(info) ? context.payloads : null;
    const { value: job, ...created } = await context.services.jobCommands.create(
      viewerOf(context),
      input,
      INPUT,
      context.onAllowance,
      payloads,
    );
    return { job, ...created };
  }

  @Mutation(() => CreateJobsPayload, {
    complexity: costOfList,
    description:
      `Creates 1–${CREATES.jobs} jobs, all or none: one of the minute's creates, and as many of the day's as there are new jobs; ` +
      "nothing of either if all are replays.",
  })
  async createJobs(
    @Arg("input", () => [CreateJobInputType], { description: "The jobs." }) input: CreateJobInputType[],
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<CreateJobsPayload> {
    const payloads = selectsPayload(info) ? context.payloads : null;
    const { value: jobs, ...created } = await context.services.jobCommands.createMany(
      viewerOf(context),
      input,
      INPUT,
      context.onAllowance,
      payloads,
    );
    return { jobs, ...created };
  }

  @Mutation(() => DeleteJobPayload, { complexity: costOfRow, description: "Removes a job that is not running." })
  async deleteJob(@Arg("id", () => ID, JOB_ID) id: string, @Ctx() context: GraphqlContext): Promise<DeleteJobPayload> {
    const deleted = await context.services.jobCommands.delete(viewerOf(context), id);
    return { deletedJobId: deleted.value, eventCursor: deleted.eventCursor };
  }

  @Mutation(() => CancelJobPayload, {
    description: "Cancels a queued job at once, a running one as soon as its handler ends.",
  })
  async cancelJob(@Arg("id", () => ID, JOB_ID) id: string, @Ctx() context: GraphqlContext): Promise<CancelJobPayload> {
    const canceled = await context.services.jobCommands.cancel(viewerOf(context), id);
    return { job: canceled.value, eventCursor: canceled.eventCursor };
  }

  @Mutation(() => RetryJobPayload, {
    description: "Queues a failed or canceled job again; costs none of the day's jobs.",
  })
  async retryJob(@Arg("id", () => ID, JOB_ID) id: string, @Ctx() context: GraphqlContext): Promise<RetryJobPayload> {
    const queued = await context.services.jobCommands.retry(viewerOf(context), id);
    return { job: queued.value, eventCursor: queued.eventCursor };
  }
}
