import { Field, ID, Int, ObjectType } from "type-graphql";
import { PAGE_SIZES } from "../page-arguments.js";
import type { ActorKind, JobStatus } from "../../../words.js";
import { ActorKindName, JobStatusName } from "./enums.js";
import { connectionType } from "./connection.js";
import { JobErrorType } from "./job.js";
import { DateTime, EventCursor } from "./scalars.js";

/** GraphQL's `Actor`. */
@ObjectType("Actor", { description: "Who made a change.", simpleResolvers: true })
export class ActorType {
  @Field(() => ActorKindName, { description: "What kind of actor." })
  kind!: ActorKind;

  @Field(() => ID, { nullable: true, description: "The user's or the worker's; null for the others." })
  id!: string | null;
}

/** GraphQL's `JobEvent`. */
@ObjectType("JobEvent", { description: "A change of a job's status, as the log keeps it.", simpleResolvers: true })
export class JobEventType {
  @Field(() => ID, { description: "The job that changed." })
  jobId!: string;

  @Field(() => String, { description: "The job's type." })
  jobType!: string;

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

  @Field(() => JobErrorType, { nullable: true, description: "The failed attempt's error, when this change ended one." })
  error!: JobErrorType | null;

  @Field(() => ActorType, { description: "Who made the change." })
  actor!: ActorType;
}

/** GraphQL's `JobEventConnection`. */
@ObjectType("JobEventConnection", {
  description: `Relay connection of events, oldest first; ${PAGE_SIZES}.`,
  simpleResolvers: true,
})
export class JobEventConnectionType extends connectionType<JobEventType>("JobEvent", JobEventType, {
  article: "An",
  noun: "event",
  whose: "its",
}) {
  @Field(() => EventCursor, { description: "Subscribe after this cursor and no change since this page is missed." })
  eventCursor!: string;
}
