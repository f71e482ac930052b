import { Field, ObjectType } from "type-graphql";
import { PAGE_SIZES } from "../page-arguments.js";
import type { JobFilter } from "../../../services/job-filter.js";
import { costOfRow } from "../complexity.js";
import { type JobResult, JobType } from "./job.js";
import { PageInfoType } from "./page-info.js";
import { EventCursor } from "./scalars.js";

/** GraphQL's `JobEdge`. */
@ObjectType("JobEdge", { description: "A job and its place in the list.", simpleResolvers: true })
export class JobEdgeType {
  @Field(() => String, { description: "Its place; opaque." })
  cursor!: string;

  @Field(() => JobType, { description: "The job." })
  node!: JobResult;
}

/** GraphQL's `JobConnection`; `totalCount` is resolved only when it is asked for. */
@ObjectType("JobConnection", {
  description: `Relay connection; ${PAGE_SIZES}; priority desc, createdAt desc, id desc.`,
  simpleResolvers: true,
})
export class JobConnectionType {
  @Field(() => [JobEdgeType], { complexity: costOfRow, description: "The page's jobs with their cursors." })
  edges!: JobEdgeType[];

  @Field(() => [JobType], { complexity: costOfRow, description: "The page's jobs." })
  nodes!: JobResult[];

  @Field(() => PageInfoType, { description: "Where this page lies in the list." })
  pageInfo!: PageInfoType;

  @Field(() => EventCursor, { description: "Subscribe after this cursor and no change since this page is missed." })
  eventCursor!: string;

  /** What `totalCount` counts. */
  filter!: JobFilter | null;
}
