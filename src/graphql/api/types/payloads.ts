import { Field, ID, ObjectType } from "type-graphql";
import { costOfRow } from "../complexity.js";
import { type JobResult, JobType } from "./job.js";
import { EventCursor } from "./scalars.js";

const EVENT_CURSOR = "Subscribe after this cursor and no change since this mutation is missed, its own included.";

/** GraphQL's `CreateJobPayload`. */
@ObjectType("CreateJobPayload", { description: "What createJob answers.", simpleResolvers: true })
export class CreateJobPayload {
  @Field(() => JobType, { complexity: costOfRow, description: "The job created, or found." })
  job!: JobResult;

  @Field(() => Boolean, { description: "Whether an earlier create under the same idempotency key has made it." })
  replayed!: boolean;

  @Field(() => EventCursor, { description: EVENT_CURSOR })
  eventCursor!: string;
}

/** GraphQL's `CreateJobsPayload`. */
@ObjectType("CreateJobsPayload", { description: "What createJobs answers.", simpleResolvers: true })
export class CreateJobsPayload {
  @Field(() => [JobType], { complexity: costOfRow, description: "The jobs created, or found, in the order given." })
  jobs!: JobResult[];

  @Field(() => Boolean, { description: "Whether earlier creates under the same idempotency keys have made them all." })
  replayed!: boolean;

  @Field(() => EventCursor, { description: EVENT_CURSOR })
  eventCursor!: string;
}

/** GraphQL's `DeleteJobPayload`. */
@ObjectType("DeleteJobPayload", { description: "What deleteJob answers.", simpleResolvers: true })
export class DeleteJobPayload {
  @Field(() => ID, { description: "The job that is gone." })
  deletedJobId!: string;

  @Field(() => EventCursor, { description: EVENT_CURSOR })
  eventCursor!: string;
}

/** GraphQL's `CancelJobPayload`. */
@ObjectType("CancelJobPayload", { description: "What cancelJob answers.", simpleResolvers: true })
export class CancelJobPayload {
  @Field(() => JobType, {
    complexity: costOfRow,
    description: "The job: canceled, or still running with cancelRequestedAt set, until its handler ends.",
  })
  job!: JobResult;

  @Field(() => EventCursor, { description: EVENT_CURSOR })
  eventCursor!: string;
}

/** GraphQL's `RetryJobPayload`. */
@ObjectType("RetryJobPayload", { description: "What retryJob answers.", simpleResolvers: true })
export class RetryJobPayload {
  @Field(() => JobType, { complexity: costOfRow, description: "The job, queued again." })
  job!: JobResult;

  @Field(() => EventCursor, { description: EVENT_CURSOR })
  eventCursor!: string;
}
