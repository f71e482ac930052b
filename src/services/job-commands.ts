import { PERMISSIONS } from "../auth/permissions.js";
import { sessionOf, type Viewer } from "../auth/viewer.js";
import type { Database, Transaction } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import { AtlasError, invalidInput } from "../errors.js";
import { CREATES } from "../limits/policies.js";
import { cancel } from "../queue/cancel.js";
import { deleteJob } from "../queue/delete.js";
import type { Job, JobSummary } from "../queue/job.js";
import { retry } from "../queue/retry.js";
import type { Audit } from "./audit.js";
import { type CreateJobInput, parseCreateJob } from "./create-job-input.js";
import type { OnAllowance } from "./create-limit.js";
import type { Cursors } from "./cursors.js";
import { eventCursorOf, type Snapshot } from "./event-place.js";
import type { JobCreation } from "./job-creation.js";
import { jobIdOf, requireJob } from "./job-lookup.js";
import type { PayloadAllowance } from "./payload-allowance.js";

/** Jobs created, or found where creates under the same idempotency keys have made them before. */
interface Created<T> extends Snapshot<T> {
  /** Whether all were found. */
  replayed: boolean;
}

/** What a member does with their tenant's jobs; the same on every surface. Each method acts for one viewer. */
export class JobCommands {
  constructor(
    private readonly database: Database,
    private readonly hints: Hints,
    private readonly cursors: Cursors,
    private readonly creation: JobCreation,
    private readonly audit: Audit,
  ) {}

  /**
   * Creates one job. With an idempotency key that a create has had before it returns that one's job, at no cost of the
   * minute or the day, or refuses when the input was another.
   * @param raw the create as the client sent it.
   * @param path where it stands in the request, for the errors.
   * @param payloads how much input and output jobs that are found may have. null: they have none.
   * @throws AtlasError `missing_job_type`, `invalid_input`, `rate_limit_exceeded`, `daily_job_limit_exceeded`,
   * `idempotency_conflict`
   */
  async create(
    viewer: Viewer,
    raw: unknown,
    path: readonly (string | number)[],
    onAllowance: OnAllowance,
    payloads: PayloadAllowance | null = null,
  ): Promise<Created<JobSummary>> {
    mayChange(viewer);
    const { value, ...created } = await this.createAll(viewer, [parseCreateJob(raw, path)], onAllowance, payloads);
    const [job] = value;
    if (job === undefined) throw new Error("a create returned no job");
    return { value: job, ...created };
  }

  /**
   * Creates several jobs, all or none; one of the minute's creates, and as many of the day's as there are jobs.
   * @throws AtlasError as `create`, and `payload_too_large` when jobs that are found have more than they may
   */
  async createMany(
    viewer: Viewer,
    raw: readonly unknown[],
    path: readonly (string | number)[],
    onAllowance: OnAllowance,
    payloads: PayloadAllowance | null = null,
  ): Promise<Created<JobSummary[]>> {
    mayChange(viewer);
    if (raw.length < 1 || raw.length > CREATES.jobs) {
      throw invalidInput([{ path: path.join("."), message: `must be 1–${CREATES.jobs} jobs, got ${raw.length}` }]);
    }
    const inputs = raw.map((one, index) => parseCreateJob(one, [...path, index]));
    const keys = inputs.flatMap(({ idempotencyKey }) => idempotencyKey ?? []);
    if (new Set(keys).size < keys.length) {
      throw invalidInput([{ path: path.join("."), message: "must not give two jobs the same idempotencyKey" }]);
    }
    return this.createAll(viewer, inputs, onAllowance, payloads);
  }

  /** @throws AtlasError `job_not_found`, `job_running`, `invalid_input` */
  async delete(viewer: Viewer, id: string): Promise<Snapshot<string>> {
    const deleted = await this.change(viewer, id, async (tx, jobId) => {
      const position = await deleteJob(tx, viewer.tenantId, jobId);
      if (position !== null) return { value: id, position };
      await requireJob(tx, viewer.tenantId, id);
      throw new AtlasError("job_running", `Job ${id} is running; cancel it first`);
    });
    this.hints.send("events");
    this.audit(viewer, "job.delete", [deleted.value]);
    return deleted;
  }

  /**
   * Cancels a queued job at once; a running one as soon as its handler stops on its signal.
   * @throws AtlasError `job_not_found`, `invalid_transition`, `invalid_input`
   */
  async cancel(viewer: Viewer, id: string): Promise<Snapshot<Job>> {
    const canceled = await this.transition(viewer, id, cancel, "canceled");
    this.hints.send("events", "canceling");
    this.audit(viewer, "job.cancel", [canceled.value.id]);
    return canceled;
  }

  /**
   * Queues a failed or canceled job again.
   * @throws AtlasError `job_not_found`, `invalid_transition`, `invalid_input`
   */
  async retry(viewer: Viewer, id: string): Promise<Snapshot<Job>> {
    const queued = await this.transition(viewer, id, retry, "retried");
    this.hints.send("events", "queued");
    this.audit(viewer, "job.retry", [queued.value.id]);
    return queued;
  }

  private async createAll(
    viewer: Viewer,
    inputs: readonly CreateJobInput[],
    onAllowance: OnAllowance,
    payloads: PayloadAllowance | null,
  ): Promise<Created<JobSummary[]>> {
    const { madeIds, ...created } = await this.creation.create(viewer, inputs, onAllowance, payloads);
    const replayed = madeIds.length === 0;
    if (!replayed) {
      this.hints.send("queued", "events");
      this.audit(viewer, "job.create", madeIds);
    }
    return { ...created, replayed };
  }

  private async transition(
    viewer: Viewer,
    id: string,
    change: (tx: Transaction, tenantId: string, id: string) => Promise<Job | null>,
    done: string,
  ): Promise<Snapshot<Job>> {
    return this.change(viewer, id, async (tx, jobId) => {
      const job = await change(tx, viewer.tenantId, jobId);
      if (job !== null) return { value: job, position: job.position };
      const { status } = await requireJob(tx, viewer.tenantId, id);
      throw new AtlasError("invalid_transition", `Job ${id} is ${status} and cannot be ${done}`);
    });
  }

  /** @param work gives its value, and the position of the event that it has made. */
  private async change<T>(
    viewer: Viewer,
    id: string,
    work: (tx: Transaction, jobId: string) => Promise<{ value: T; position: bigint }>,
  ): Promise<Snapshot<T>> {
    mayChange(viewer);
    const jobId = jobIdOf(id);
    return this.database.transaction(sessionOf(viewer), async (tx) => {
      const { value, position } = await work(tx, jobId);
      return { value, eventCursor: eventCursorOf(this.cursors, viewer.tenantId, tx, [{ position }]) };
    });
  }
}

/** @throws AtlasError `tenant_access_denied` */
function mayChange(viewer: Viewer): void {
  if (!PERMISSIONS[viewer.role].changeJobs) {
    throw new AtlasError(
      "tenant_access_denied",
      `Your role in this tenant is ${viewer.role}: it reads and subscribes only`,
    );
  }
}
