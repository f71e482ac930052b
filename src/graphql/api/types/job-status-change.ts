import { Field, ObjectType } from "type-graphql";
import { JobEventType } from "./job-event.js";
import { EventCursor } from "./scalars.js";

/** GraphQL's `JobStatusChange`: an event, live; `job` is resolved only when it is asked for. */
@ObjectType("JobStatusChange", { description: "A change of a job's status.", simpleResolvers: true })
export class JobStatusChangeType extends JobEventType {
  @Field(() => EventCursor, { description: "Subscribe after it to go on after this change." })
  cursor!: string;
}
