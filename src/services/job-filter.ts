import { instantFault } from "../bounds/instants.js";
import { textFault } from "../bounds/text.js";
import type { JobStatus } from "../words.js";
import { refuseFilter, valuesFault } from "./filters.js";

/** Which jobs; absent: all. */
export interface JobFilter {
  status?: readonly JobStatus[] | null | undefined;
  jobType?: readonly string[] | null | undefined;
  createdAfter?: Date | null | undefined;
  createdBefore?: Date | null | undefined;
}

/** @throws AtlasError `invalid_input` naming each list that is too long, and whatever cannot be a value of its field */
export function checkJobFilter(filter: JobFilter | null | undefined): void {
  refuseFilter({
    status: valuesFault(filter?.status),
    jobType: valuesFault(filter?.jobType, textFault),
    createdAfter: filter?.createdAfter == null ? null : instantFault(filter.createdAfter),
    createdBefore: filter?.createdBefore == null ? null : instantFault(filter.createdBefore),
  });
}
