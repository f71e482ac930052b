import type { Viewer } from "../auth/viewer.js";
import { comparePositions } from "../feed/position.js";
import type { JobStatus } from "../words.js";
import type { ChangeStream, EventService, StatusChange } from "./event-service.js";
import { notFound } from "./job-lookup.js";
import type { JobQueries } from "./job-queries.js";

const OVER: Readonly<Record<JobStatus, boolean>> = {
  queued: false,
  running: false,
  completed: true,
  failed: true,
  canceled: true,
};

/** Whether a job with this status has ended, or is deleted (null); a retry may begin it again. */
export function isOver(status: JobStatus | null): boolean {
  return status === null || OVER[status];
}

/** A status change on the way to the end of its job. */
export interface ChangeToEnd {
  change: StatusChange;
  /** What the job has put out, where this change ended it; undefined: it goes on, or is deleted. */
  output?: unknown;
}

/** What happens to some jobs until all have ended. */
export interface ChangesToEnd {
  /** Whether all had ended when the stream began. */
  readonly over: boolean;
  /** How the jobs ended that had when the stream began: what it does not give. */
  ended(): AsyncGenerator<ChangeToEnd, void>;
  /** Then the rest, until the last job has ended or the stream ends. */
  coming(): AsyncGenerator<ChangeToEnd, void>;
  /** Whether all have ended now. A job that was retried since has not. */
  finished(): boolean;
}

/**
 * Follows jobs to their ends, also those that ended before.
 * @param stream of all their changes; it must have begun.
 * @throws AtlasError `job_not_found` for a job that the tenant never had, or had so long ago that nothing is kept of it
 */
export async function untilFinished(
  { jobs, events }: { jobs: JobQueries; events: EventService },
  viewer: Viewer,
  jobIds: readonly string[],
  stream: ChangeStream,
): Promise<ChangesToEnd> {
  const open = new Set(jobIds.map((id) => id.toLowerCase()));
  const last = await events.lastChanges(viewer, [...open]);
  const known = new Set(last.map(({ jobId }) => jobId));
  for (const id of open) {
    // A job that waits for longer than events are kept has none.
    if (!known.has(id) && (await jobs.findSummary(viewer, id)) === null) throw notFound(id);
  }

  const before = last.filter((change) => isOver(change.status) && comparePositions(change, stream.startsAfter) <= 0);
  const seen = async (change: StatusChange): Promise<ChangeToEnd> => {
    const { jobId, status, version } = change;
    if (status === null) open.delete(jobId);
    if (status === null || !isOver(status)) return { change };
    const job = await jobs.find(viewer, jobId);
    // Retried or deleted since: that comes, too.
    if (job?.version !== version) return { change };
    open.delete(jobId);
    return { change, output: job.output };
  };
  return {
    over: before.length === open.size,
    async *ended() {
      for (const change of before) yield await seen(change);
    },
    async *coming() {
      while (open.size > 0) {
        const { done, value } = await stream.next();
        if (done === true) return;
        yield await seen(value);
      }
    },
    finished: () => open.size === 0,
  };
}
