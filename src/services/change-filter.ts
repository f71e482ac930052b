import { textFault } from "../bounds/text.js";
import { isUuid } from "../bounds/uuid.js";
import type { JobStatus } from "../words.js";
import type { JobEvent } from "../queue/job-event.js";
import { refuseFilter, valuesFault } from "./filters.js";

/** Which status changes a subscriber wants; absent: all. */
export interface ChangeFilter {
  jobId?: readonly string[] | null | undefined;
  jobType?: readonly string[] | null | undefined;
  /** What the job has become; deletions are left out. */
  status?: readonly JobStatus[] | null | undefined;
}

/** @throws AtlasError `invalid_input` naming each list that is too long, or has what cannot be a value of its field */
export function checkChangeFilter(filter: ChangeFilter | null): void {
  refuseFilter({
    status: valuesFault(filter?.status),
    jobType: valuesFault(filter?.jobType, textFault),
    jobId: valuesFault(filter?.jobId, (id) => (isUuid(id) ? null : "must be UUIDs")),
  });
}

/** Whether an event passes the filter. */
export function passes(filter: ChangeFilter | null): (event: JobEvent) => boolean {
  const ids = filter?.jobId == null ? null : new Set(filter.jobId.map((id) => id.toLowerCase()));
  const types = filter?.jobType == null ? null : new Set(filter.jobType);
  const statuses = filter?.status == null ? null : new Set<JobStatus | null>(filter.status);
  return ({ jobId, jobType, status }) =>
    (ids === null || ids.has(jobId)) &&
    (types === null || types.has(jobType)) &&
    (statuses === null || statuses.has(status));
}
