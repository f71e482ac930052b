import type { GraphQLResolveInfo } from "graphql";
import { type GraphqlContext, viewerOf } from "./context.js";
import { selectsPayload } from "./payload-selection.js";
import type { JobResult } from "./types/job.js";

/** Finds the job of a field, with its payload where it is selected below the field; null: there is none with this id. */
export function selectedJob(context: GraphqlContext, info: GraphQLResolveInfo, id: string): Promise<JobResult | null> {
  const viewer = viewerOf(context);
  return selectsPayload(info) ? context.services.jobs.find(viewer, id) : context.services.jobs.findSummary(viewer, id);
}
