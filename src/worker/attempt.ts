import type { Logger } from "../log.js";
import type { HeldJob } from "../queue/held-job.js";
import type { ClaimedJob } from "../queue/job.js";
import { StopReason } from "./stop-reason.js";

const MAX_CAUSES = 10;

/** One attempt of a job in this worker's hands, from its claim to its settlement. */
export class Attempt {
  /** `process.hrtime.bigint()` once the claim was known. */
  readonly claimedAt = process.hrtime.bigint();
  readonly held: HeldJob;
  readonly log: Logger;
  private readonly stopper = new AbortController();
  private readonly origins = new WeakMap<object, string>();
  private known = true;

  constructor(
    readonly job: ClaimedJob,
    workerId: string,
    log: Logger,
  ) {
    const { id, tenantId, jobType, attempt } = job;
    this.held = { tenantId, id, workerId, attempt };
    this.log = log.child({ jobId: id, tenantId, jobType, attempt });
  }

  /** The handler's. Fires with a `StopReason`, the first one given. */
  get signal(): AbortSignal {
    return this.stopper.signal;
  }

  /** Whether the database has said that the attempt is over or another worker's. */
  get lost(): boolean {
    return !this.known;
  }

  /** Remembers that the handler of this job type, run inside another, threw this; the innermost one counts. */
  blame(jobType: string, thrown: unknown): void {
    if (isObject(thrown) && !this.origins.has(thrown)) this.origins.set(thrown, jobType);
  }

  /** The job type whose handler threw this, or its cause; the job's own where no other did. */
  originOf(thrown: unknown): string {
    let error = thrown;
    for (let depth = 0; depth < MAX_CAUSES && isObject(error); depth += 1) {
      const origin = this.origins.get(error);
      if (origin !== undefined) return origin;
      error = (error as { cause?: unknown }).cause;
    }
    return this.job.jobType;
  }

  /** Fires the handler's signal, unless it has fired. */
  stop(reason: StopReason): void {
    this.stopper.abort(reason);
  }

  /** Ends an attempt that by the database is not this worker's any more: its outcome is not written. */
  lose(): StopReason {
    this.known = false;
    const reason = new StopReason("lost", "The job was lost to another worker");
    this.stop(reason);
    return reason;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
