import { registerEnumType } from "type-graphql";
import { DAILY_JOBS } from "../../../limits/policies.js";
import type { ActorKind, JobStatus, MemberRole, OriginKind, SeatType } from "../../../words.js";

/**
 * Makes words an enum of GraphQL, whose names are theirs in upper case.
 * @param words every word, and what it means.
 */
function enumOf<Word extends string>(
  name: string,
  description: string,
  words: Readonly<Record<Word, string>>,
): Readonly<Record<string, string>> {
  const named = Object.entries<string>(words).map(([word, meaning]) => ({ name: word.toUpperCase(), word, meaning }));
  const values = Object.fromEntries(named.map((value) => [value.name, value.word]));
  const valuesConfig = Object.fromEntries(named.map((value) => [value.name, { description: value.meaning }]));
  registerEnumType(values, { name, description, valuesConfig });
  return values;
}

export const ActorKindName = enumOf<ActorKind>("ActorKind", "Who makes changes.", {
  user: "A member, through the API.",
  worker: "The worker that runs the job.",
  system: "The queue itself, such as the rescue of a lost worker's jobs.",
  database: "A person or program that writes to the database by itself.",
});

export const JobStatusName = enumOf<JobStatus>("JobStatus", "Where a job stands.", {
  queued: "Waits to run: for its turn, for runAt, or for its next attempt.",
  running: "A worker runs it.",
  completed: "Its handler returned; output is what it returned.",
  failed: "Its last attempt failed, or failed for good.",
  canceled: "It was canceled.",
});

export const JobOriginKindName = enumOf<OriginKind>("JobOriginKind", "Where jobs come from.", {
  member: "A member created it, through the API.",
  schedule: "A schedule created it when its time came.",
  job: "Another job created it.",
  system: "The service itself, or a person or program that writes to the database.",
});

export const MemberRoleName = enumOf<MemberRole>("MemberRole", "What a member may do.", {
  viewer: "Read and subscribe.",
  member: "Also create jobs and change them.",
  owner: "Also see all members and their usage.",
});

export const SeatTypeName = enumOf<SeatType>(
  "SeatType",
  "A member's seat in a tenant, which sets the jobs they may create a day.",
  {
    free_beta: `${DAILY_JOBS.free_beta} jobs a day.`,
    starter: `${DAILY_JOBS.starter} jobs a day.`,
    pro: `${DAILY_JOBS.pro} jobs a day.`,
    enterprise: "No limit.",
  },
);
