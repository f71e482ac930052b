import { isUuid } from "../bounds/uuid.js";
import type { Transaction } from "../database/database.js";
import { AtlasError, invalidInput } from "../errors.js";
import type { JobSummary } from "../queue/job.js";
import { readJobs } from "./read-jobs.js";

/**
 * A job's id as a client wrote it, in small letters.
 * @throws AtlasError `invalid_input` for what is no UUID
 */
export function jobIdOf(id: string): string {
  if (!isUuid(id)) throw invalidInput([{ path: "id", message: "must be a UUID" }]);
  return id.toLowerCase();
}

/** That the tenant has no job with this id. */
export function notFound(id: string): AtlasError {
  return new AtlasError("job_not_found", `There is no job ${id}`);
}

/** @throws AtlasError `job_not_found` */
export async function requireJob(tx: Transaction, tenantId: string, id: string): Promise<JobSummary> {
  const [job] = await readJobs(tx, tenantId, [id]);
  if (job === undefined) throw notFound(id);
  return job;
}
