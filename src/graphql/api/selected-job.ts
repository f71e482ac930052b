import type { GraphQLResolveInfo } from "graphql";
import { type GraphqlContext, viewerOf } from "./context.js";
import { selects } from "./selects.js";
import { type JobResult, PAYLOAD } from "./types/job.js";

/** Finds the job of a field, with its payload where it is selected below the field; null: there is none with this id. */
export function selectedJob(context: GraphqlContext, info: GraphQLResolveInfo, id: string): Promise<JobResult | null> {
  const viewer = viewerOf(context);
  return selects(info, ...PAYLOAD)
    ? context.services.jobs.find(viewer, id)
    : context.services.jobs.findSummary(viewer, id);
}
