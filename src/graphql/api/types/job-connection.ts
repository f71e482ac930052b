import { Field, ObjectType } from "type-graphql";
import { PAGE_SIZES } from "../page-arguments.js";
import type { JobFilter } from "../../../services/job-filter.js";
import { connectionType } from "./connection.js";
import { type JobResult, JobType } from "./job.js";
import { EventCursor } from "./scalars.js";

/** GraphQL's `JobConnection`; `totalCount` is resolved only when it is asked for. */
@ObjectType("JobConnection", {
  description: `Relay connection; ${PAGE_SIZES}; priority desc, createdAt desc, id desc.`,
  simpleResolvers: true,
})
export class JobConnectionType extends connectionType<JobResult>("Job", JobType, {
  article: "A",
  noun: "job",
  whose: "its",
}) {
  @Field(() => EventCursor, { description: "Subscribe after this cursor and no change since this page is missed." })
  eventCursor!: string;

  /** What `totalCount` counts. */
  filter!: JobFilter | null;
}
