import { Field, ID, InputType, Int } from "type-graphql";
import { JOB, PAGES } from "../../../limits/policies.js";
import type { JobStatus } from "../../../words.js";
import { JobStatusName } from "./enums.js";
import { DateTime, JsonObject } from "./scalars.js";

/** GraphQL's `JobFilter`. */
@InputType("JobFilter", { description: "Which jobs to list; what is left out or null does not restrict." })
export class JobFilterInput {
  @Field(() => [JobStatusName], {
    nullable: true,
    description: `Any of these statuses; at most ${PAGES.filterValues}.`,
  })
  status?: JobStatus[] | null;

  @Field(() => [String], { nullable: true, description: `Any of these job types; at most ${PAGES.filterValues}.` })
  jobType?: string[] | null;

  @Field(() => DateTime, { nullable: true, description: "Created after this instant." })
  createdAfter?: Date | null;

  @Field(() => DateTime, { nullable: true, description: "Created before this instant." })
  createdBefore?: Date | null;
}

/** GraphQL's `JobStatusChangeFilter`. */
@InputType("JobStatusChangeFilter", {
  description: "Which status changes to send; what is left out or null does not restrict.",
})
export class JobStatusChangeFilterInput {
  @Field(() => [ID], { nullable: true, description: `Of any of these jobs; at most ${PAGES.filterValues}.` })
  jobId?: string[] | null;

  @Field(() => [String], { nullable: true, description: `Of any of these job types; at most ${PAGES.filterValues}.` })
  jobType?: string[] | null;

  @Field(() => [JobStatusName], { nullable: true, description: "To any of these statuses; deletions are left out." })
  status?: JobStatus[] | null;
}

/** GraphQL's `CreateJobInput`; the service checks its bounds. */
@InputType("CreateJobInput", { description: "A job to create." })
export class CreateJobInputType {
  @Field(() => String, { description: `Names the handler; 1–${JOB.typeCharacters} characters, no control characters.` })
  jobType!: string;

  @Field(() => Int, { nullable: true, defaultValue: 0, description: "Higher runs first." })
  priority?: number | null;

  @Field(() => JsonObject, {
    nullable: true,
    // No defaultValue: graphql-js cannot print an object as the default of a scalar. The service fills it in.
    description: `What the handler is given; at most ${JOB.inputBytes / 1024} KiB and ${JOB.inputLevels} levels. Default: {}.`,
  })
  input?: Record<string, unknown> | null;

  @Field(() => DateTime, {
    nullable: true,
    description: `Not before this instant; at most ${JOB.runAheadYears} year ahead. Default: now.`,
  })
  runAt?: Date | null;

  @Field(() => Int, {
    nullable: true,
    description: `Attempts at most, 1–${JOB.maxAttempts}. Default: the job type's own, else ${JOB.defaultAttempts}.`,
  })
  maxAttempts?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: `How long an attempt may take, in ms, 1–${JOB.timeoutMs} (a week). Default: the service's.`,
  })
  timeoutMs?: number | null;

  @Field(() => String, {
    nullable: true,
    description:
      `1–${JOB.keyCharacters} characters, yours to choose. Sent again with the same job type, priority and input it returns the first job, ` +
      "with another input it is refused: so a create whose answer was lost can be repeated.",
  })
  idempotencyKey?: string | null;
}
