import { Field, ID, Int, ObjectType } from "type-graphql";
import type { JobStatus } from "../../queue/job.js";
import { JobStatusName } from "./enums.js";
import { DateTime, EventCursor } from "./scalars.js";

/** GraphQL's `JobStatusChange`; `job` is resolved only when it is asked for. */
@ObjectType("JobStatusChange", { description: "A change of a job's status.", simpleResolvers: true })
export class JobStatusChangeType {
  @Field(() => EventCursor, { description: "Subscribe after it to go on after this change." })
  cursor!: string;

  @Field(() => ID, { description: "The job that changed." })
  jobId!: string;

  @Field(() => Int, { description: "The job's version after this change: 1, 2, 3 … without a hole." })
  version!: number;

  @Field(() => Int, { description: "Attempts begun by then." })
  attempt!: number;

  @Field(() => DateTime, { description: "When it changed." })
  occurredAt!: Date;

  @Field(() => JobStatusName, { nullable: true, description: "null: the job was created." })
  previousStatus!: JobStatus | null;

  @Field(() => JobStatusName, { nullable: true, description: "null: the job was deleted." })
  status!: JobStatus | null;
}
