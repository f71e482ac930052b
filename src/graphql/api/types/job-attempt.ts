import { Field, ID, Int, ObjectType } from "type-graphql";
import { JOB } from "../../../limits/policies.js";
import type { JobStatus } from "../../../words.js";
import { JobStatusName } from "./enums.js";
import { JobErrorType } from "./job.js";
import { DateTime } from "./scalars.js";

/** GraphQL's `JobAttempt`. */
@ObjectType("JobAttempt", { description: "One run of a job by a worker.", simpleResolvers: true })
export class JobAttemptType {
  @Field(() => Int, { description: "1, 2, 3 …" })
  attempt!: number;

  @Field(() => ID, { nullable: true, description: "The worker that ran it." })
  workerId!: string | null;

  @Field(() => DateTime, { description: "When it began." })
  startedAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When it ended; null: it is running." })
  finishedAt!: Date | null;

  @Field(() => JobStatusName, {
    description: "What the job became by it: QUEUED for another attempt, or its final status; RUNNING until then.",
  })
  status!: JobStatus;

  @Field(() => JobErrorType, {
    nullable: true,
    description: "Why it failed; null: it is running, or did not fail.",
  })
  error!: JobErrorType | null;

  @Field(() => String, {
    nullable: true,
    description:
      `Where its handler failed: the error's stack and its causes', up to ${JOB.errorStackCharacters.toLocaleString("en-US")} characters. null: it did not fail by an ` +
      "error of its handler, or your role is viewer.",
  })
  stack!: string | null;
}
