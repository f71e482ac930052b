import type { Viewer } from "../auth/viewer.js";
import { comparePositions } from "../feed/position.js";
import { isFinished } from "../words.js";
import type { ChangeStream, EventService, StatusChange } from "./event-service.js";
import { notFound } from "./job-lookup.js";
import type { JobQueries } from "./job-queries.js";

/** A status change on the way to the end of its job. */
export interface ChangeToEnd {
  change: StatusChange;
  /** The job's output, where this change has ended it; undefined: it goes on, or is deleted. */
  output?: unknown;
}

/** The changes of some jobs until all have ended: first those of `ended`, then those of `coming`. */
export interface ChangesToEnd {
  /** Whether all had ended when the stream began. */
  readonly over: boolean;
  /** The ends of the jobs that had ended before the stream began, which the stream does not give. */
  ended(): AsyncGenerator<ChangeToEnd, void>;
  /** The stream's changes, until the last job has ended or the stream ends. */
  coming(): AsyncGenerator<ChangeToEnd, void>;
  /** Whether all have ended now. A job that was retried since has not. */
  finished(): boolean;
}

/**
 * Follows jobs to their ends, also jobs that ended before the stream began.
 * @param stream of all changes of these jobs; it must have begun, so that no end falls between it and what is read here.
 * @throws AtlasError `job_not_found` for a job that the tenant never had, or of which nothing is kept any more
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
    // A job that has been queued for longer than events are kept has no event left.
    if (!known.has(id) && (await jobs.findSummary(viewer, id)) === null) throw notFound(id);
  }

  const before = last.filter(
    (change) => isFinished(change.status) && comparePositions(change, stream.startsAfter) <= 0,
  );
  const seen = async (change: StatusChange): Promise<ChangeToEnd> => {
    const { jobId, status, version } = change;
    if (status === null) open.delete(jobId);
    if (status === null || !isFinished(status)) return { change };
    const job = await jobs.find(viewer, jobId);
    // It was retried or deleted since then: the stream gives that change, too.
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
