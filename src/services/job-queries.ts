import { sessionOf, type Viewer } from "../auth/viewer.js";
import type { Database, Transaction } from "../database/database.js";
import { Pace } from "../limits/pace.js";
import { LARGE_JSON } from "../limits/policies.js";
import type { Job, JobSummary } from "../queue/job.js";
import type { Cursors } from "./cursors.js";
import { eventCursorOf, type Snapshot } from "./event-place.js";
import type { JobFilter } from "./job-filter.js";
import { jobIdOf, notFound } from "./job-lookup.js";
import { addPayloads, asSummaries, countJobs, type JobPageInput, readJobPage, readJobs } from "./read-jobs.js";
import type { LivePage, Page } from "./page.js";
import { PayloadAllowance } from "./payload-allowance.js";
import { TenantLoader } from "./tenant-loader.js";

/** Jobs read at once by their ids, without payloads. */
const MAX_BATCH = 500;
/** With payloads: each may have a megabyte. */
const MAX_PAYLOADS = 20;

interface JobKey {
  tenantId: string;
  id: string;
}

interface FoundJob<Shown extends JobSummary> {
  job: Shown | null;
  /** Of the transaction that looked. */
  head: bigint;
}

/** What a member sees of their tenant's jobs; the same on every surface. Each method acts for one viewer. */
export class JobQueries {
  private readonly withoutPayload: TenantLoader<JobKey, FoundJob<JobSummary>>;
  private readonly withPayload: TenantLoader<JobKey, FoundJob<Job>>;
  private readonly pace = new Pace(LARGE_JSON);

  constructor(
    private readonly database: Database,
    private readonly cursors: Cursors,
  ) {
    this.withoutPayload = this.loader({ maxBatchSize: MAX_BATCH }, readJobs);
    this.withPayload = this.loader({ maxBatchSize: MAX_PAYLOADS, payloads: this.pace }, async (tx, tenantId, ids) => {
      const allowance = this.payloadAllowance({ tenantId }, Number.MAX_SAFE_INTEGER);
      return (await addPayloads(tx, tenantId, await readJobs(tx, tenantId, ids), allowance)).jobs;
    });
  }

  /**
   * A page of the tenant's jobs.
   * @param payloads how much input and output the page may have: it is cut where that ends.
   * @throws AtlasError `invalid_input`, `invalid_cursor`, `unavailable`
   */
  async list(viewer: Viewer, page: JobPageInput, payloads: PayloadAllowance): Promise<LivePage<Job>> {
    const { tenantId } = viewer;
    await payloads.turn();
    return this.database.transaction({ ...sessionOf(viewer), payloads: true }, async (tx) =>
      this.live(
        tx,
        tenantId,
        await readJobPage(tx, this.cursors, tenantId, page, (jobs) => addPayloads(tx, tenantId, jobs, payloads)),
      ),
    );
  }

  /** As `list`, without the jobs' payloads. */
  async listSummaries(viewer: Viewer, page: JobPageInput): Promise<LivePage<JobSummary>> {
    const { tenantId } = viewer;
    return this.database.transaction(sessionOf(viewer), async (tx) =>
      this.live(tx, tenantId, await readJobPage(tx, this.cursors, tenantId, page, asSummaries)),
    );
  }

  /** How much input and output an answer to the viewer may have. */
  payloadAllowance({ tenantId }: Pick<Viewer, "tenantId">, maxBytes: number): PayloadAllowance {
    return new PayloadAllowance(maxBytes, tenantId, this.pace);
  }

  /** @throws AtlasError `invalid_input` */
  async count(viewer: Viewer, filter: JobFilter | null): Promise<number> {
    return this.database.transaction(sessionOf(viewer), (tx) => countJobs(tx.em, viewer.tenantId, filter));
  }

  /**
   * @returns null for an unknown job, and for another tenant's.
   * @throws AtlasError `invalid_input` for an id that is no UUID
   */
  async find(viewer: Viewer, id: string): Promise<Job | null> {
    return (await this.withPayload.load(keyOf(viewer, id))).job;
  }

  /** As `find`, without the job's payload. */
  async findSummary(viewer: Viewer, id: string): Promise<JobSummary | null> {
    return (await this.withoutPayload.load(keyOf(viewer, id))).job;
  }

  /** @throws AtlasError `job_not_found`, `invalid_input` */
  async get(viewer: Viewer, id: string): Promise<Snapshot<Job>> {
    return this.known(viewer, id, await this.withPayload.load(keyOf(viewer, id)));
  }

  /** As `get`, without the job's payload. */
  async getSummary(viewer: Viewer, id: string): Promise<Snapshot<JobSummary>> {
    return this.known(viewer, id, await this.withoutPayload.load(keyOf(viewer, id)));
  }

  private live<Shown extends JobSummary>(tx: Transaction, tenantId: string, page: Page<Shown>): LivePage<Shown> {
    return { ...page, eventCursor: eventCursorOf(this.cursors, tenantId, tx, page.items) };
  }

  private known<Shown extends JobSummary>(
    { tenantId }: Viewer,
    id: string,
    { job, head }: FoundJob<Shown>,
  ): Snapshot<Shown> {
    if (job === null) throw notFound(id);
    return { value: job, eventCursor: eventCursorOf(this.cursors, tenantId, { head }, [job]) };
  }

  private loader<Shown extends JobSummary>(
    options: { maxBatchSize: number; payloads?: Pace },
    read: (tx: Transaction, tenantId: string, ids: readonly string[]) => Promise<Shown[]>,
  ): TenantLoader<JobKey, FoundJob<Shown>> {
    return new TenantLoader(this.database, { ...options, nameOf: ({ id }) => id }, async (tx, tenantId, keys) => {
      const ids = keys.map(({ id }) => id);
      const byId = new Map((await read(tx, tenantId, ids)).map((job) => [job.id, job]));
      return ids.map((id) => ({ job: byId.get(id) ?? null, head: tx.head }));
    });
  }
}

function keyOf({ tenantId }: Viewer, id: string): JobKey {
  return { tenantId, id: jobIdOf(id) };
}
