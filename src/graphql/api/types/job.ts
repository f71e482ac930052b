import { Field, ID, Int, ObjectType } from "type-graphql";
import type { Job } from "../../../queue/job.js";
import type { JobStatus, OriginKind } from "../../../words.js";
import { JobOriginKindName, JobStatusName } from "./enums.js";
import type { PAYLOAD } from "../payload-selection.js";
import { NodeType } from "./node.js";
import { DateTime, Json, JsonObject } from "./scalars.js";

/** GraphQL's `JobError`. */
@ObjectType("JobError", { description: "Why an attempt failed.", simpleResolvers: true })
export class JobErrorType {
  @Field(() => String, { description: "Machine-readable, snake_case." })
  code!: string;

  @Field(() => String, { description: "For a person." })
  message!: string;

  @Field(() => Int, { description: "The attempt that failed, from 1." })
  attempt!: number;

  @Field(() => DateTime, { description: "When it failed." })
  occurredAt!: Date;
}

/** GraphQL's `JobOrigin`. */
@ObjectType("JobOrigin", { description: "Where a job comes from.", simpleResolvers: true })
export class JobOriginType {
  @Field(() => JobOriginKindName, { description: "What created it." })
  kind!: OriginKind;

  @Field(() => ID, { nullable: true, description: "The member's, the schedule's or the job's; null for the system." })
  id!: string | null;
}

/** What GraphQL does not show of a job: a field of `Job` that is neither here nor in `JobType` does not compile. */
type Hidden = "tenantId" | "workerId" | "position";
/** What a class cannot implement, being a union: the resolvers' types check it. */
type Union = "origin";

/** GraphQL's `Job`. */
@ObjectType("Job", { description: "A piece of work for a worker.", implements: NodeType, simpleResolvers: true })
export class JobType implements NodeType, Omit<Job, Hidden | Union> {
  @Field(() => ID, { description: "A UUID." })
  id!: string;

  @Field(() => String, { description: "Names the handler that runs it." })
  jobType!: string;

  @Field(() => JobStatusName, { description: "Where it stands." })
  status!: JobStatus;

  @Field(() => Int, { description: "Higher runs first." })
  priority!: number;

  @Field(() => JsonObject, { complexity: 1, description: "What its handler is given." })
  input!: Record<string, unknown>;

  @Field(() => Json, {
    nullable: true,
    complexity: 1,
    description: "What its handler returned; null until it is completed.",
  })
  output!: unknown;

  @Field(() => JobErrorType, {
    nullable: true,
    description: "The last failed attempt's error: kept while it is retried, null once it is completed.",
  })
  error!: JobErrorType | null;

  @Field(() => Int, { description: "Attempts begun; only grows." })
  attempt!: number;

  @Field(() => Int, {
    description: "Attempts at most. A default gives way to the job type's own when the first attempt begins.",
  })
  maxAttempts!: number;

  @Field(() => Int, {
    nullable: true,
    description: "How long an attempt may take, in ms; null: as long as its job type or the service says.",
  })
  timeoutMs!: number | null;

  @Field(() => DateTime, { description: "It does not run before this instant." })
  runAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When the latest attempt began." })
  startedAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: "When it was completed, failed or canceled." })
  finishedAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: "When somebody asked to cancel it." })
  cancelRequestedAt!: Date | null;

  @Field(() => DateTime, { description: "When it was created." })
  createdAt!: Date;

  @Field(() => DateTime, { description: "When it last changed." })
  updatedAt!: Date;

  @Field(() => ID, { nullable: true, description: "The user who created it; null: it was created in the database." })
  createdBy!: string | null;

  @Field(() => JobOriginType, { description: "Where it comes from." })
  origin!: JobOriginType;

  @Field(() => Int, {
    description: "Counts this job's events, 1, 2, 3 …: a client keeps the row with the higher version.",
  })
  version!: number;
}

/** What a resolver returns for a `Job`: its payload is there where it is selected. */
export type JobResult = Omit<JobType, (typeof PAYLOAD)[number]> & Partial<Pick<JobType, (typeof PAYLOAD)[number]>>;
