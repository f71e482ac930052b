import { randomUUID } from "node:crypto";
import { isUuid } from "../bounds/uuid.js";
import { sessionOf, type Viewer } from "../auth/viewer.js";
import type { Database, Transaction } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import { AtlasError, invalidInput } from "../errors.js";
import type { Logger } from "../log.js";
import type { Cursors } from "./cursors.js";
import { cancel } from "../queue/cancel.js";
import { deleteJob } from "../queue/delete.js";
import { enqueue, isKeyTaken, type NewJob } from "../queue/enqueue.js";
import { findReplays, type Replay } from "../queue/find-replays.js";
import type { Job, JobSummary } from "../queue/job.js";
import { retry } from "../queue/retry.js";
import { readUsage } from "../queue/usage.js";
import { createAudit } from "./audit.js";
import { Pace } from "../limits/pace.js";
import { CREATES, DAILY_JOBS, LARGE_JSON } from "../limits/policies.js";
import { type CreateJobInput, parseCreateJob } from "./create-job-input.js";
import type { Allowance, CreateLimit } from "./create-limit.js";
import { eventCursorOf } from "./event-place.js";
import { addPayloads, asSummaries, countJobs, type JobPageInput, readJobPage, readJobs } from "./job-page.js";
import type { JobFilter } from "./job-filter.js";
import type { LivePage } from "./page.js";
import { PayloadAllowance } from "./payload-allowance.js";
import { type DailyJobs, dailyJobsOf } from "./seats.js";
import { TenantLoader } from "./tenant-loader.js";

/** A change made, and a place in the events before which everything is in the answer. */
export interface Changed<T> {
  value: T;
  eventCursor: string;
}

/** Jobs created, or found where creates under the same idempotency keys have made them before. */
export interface Created<T> extends Changed<T> {
  /** Whether all were found. */
  replayed: boolean;
}

/** Told what is left of the minute, whether the create went through or not; of a replay, which costs nothing, nothing. */
export type OnAllowance = (allowance: Allowance) => void;

const MAX_KEY_TRIES = 3;
const MAX_BATCH = 500;
/** Payloads read at once by ids: each may have a megabyte. */
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

/** What a member can do with their tenant's jobs; the same on every surface. Each method acts for one viewer. */
export class JobService {
  private readonly withoutPayload: TenantLoader<JobKey, FoundJob<JobSummary>>;
  private readonly withPayload: TenantLoader<JobKey, FoundJob<Job>>;
  private readonly audit;
  private readonly pace = new Pace(LARGE_JSON);

  constructor(
    private readonly database: Database,
    private readonly hints: Hints,
    private readonly cursors: Cursors,
    private readonly createLimit: CreateLimit,
    log: Logger,
  ) {
    this.audit = createAudit(log);
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
    await payloads.turn();
    return this.database.transaction({ ...sessionOf(viewer), payloads: true }, async (tx) => {
      const { tenantId } = viewer;
      const found = await readJobPage(tx, this.cursors, tenantId, page, (jobs) =>
        addPayloads(tx, tenantId, jobs, payloads),
      );
      return { ...found, eventCursor: this.eventCursor(viewer, tx, found.items) };
    });
  }

  /** As `list`, without the jobs' payloads. */
  async listSummaries(viewer: Viewer, page: JobPageInput): Promise<LivePage<JobSummary>> {
    return this.act(viewer, async (tx) => {
      const found = await readJobPage(tx, this.cursors, viewer.tenantId, page, asSummaries);
      return { ...found, eventCursor: this.eventCursor(viewer, tx, found.items) };
    });
  }

  /** How much input and output an answer to the viewer may have. */
  payloadAllowance({ tenantId }: Pick<Viewer, "tenantId">, maxBytes: number): PayloadAllowance {
    return new PayloadAllowance(maxBytes, tenantId, this.pace);
  }

  async count(viewer: Viewer, filter: JobFilter | null): Promise<number> {
    return this.act(viewer, (tx) => countJobs(tx.em, viewer.tenantId, filter));
  }

  /**
   * @returns null for an unknown job, and for another tenant's.
   * @throws AtlasError `invalid_input` for an id that is no UUID
   */
  async find(viewer: Viewer, id: string): Promise<Job | null> {
    return (await this.withPayload.load(jobKey(viewer, id))).job;
  }

  /** As `find`, without the job's payload. */
  async findSummary(viewer: Viewer, id: string): Promise<JobSummary | null> {
    return (await this.withoutPayload.load(jobKey(viewer, id))).job;
  }

  /** @throws AtlasError `job_not_found`, `invalid_input` */
  async get(viewer: Viewer, id: string): Promise<Changed<Job>> {
    return this.known(viewer, id, await this.withPayload.load(jobKey(viewer, id)));
  }

  /** As `get`, without the job's payload. */
  async getSummary(viewer: Viewer, id: string): Promise<Changed<JobSummary>> {
    return this.known(viewer, id, await this.withoutPayload.load(jobKey(viewer, id)));
  }

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
    const { value, ...created } = await this.admit(viewer, [parseCreateJob(raw, path)], onAllowance, payloads);
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
    return this.admit(viewer, inputs, onAllowance, payloads);
  }

  /** @throws AtlasError `job_not_found`, `job_running`, `invalid_input` */
  async delete(viewer: Viewer, id: string): Promise<Changed<string>> {
    mayChange(viewer);
    const deleted = await this.act(viewer, async (tx) => {
      const position = await deleteJob(tx, viewer.tenantId, jobId(id));
      if (position !== null) return { value: id, eventCursor: this.eventCursor(viewer, tx, [{ position }]) };
      await this.present(tx, viewer, id);
      throw new AtlasError("job_running", `Job ${id} is running; cancel it first`);
    });
    this.hints.send("events");
    this.audit(viewer, "job.delete", [deleted.value]);
    return deleted;
  }

  /**
   * Cancels a queued job at once; a running one as soon as its handler heeds its signal.
   * @throws AtlasError `job_not_found`, `invalid_transition`, `invalid_input`
   */
  async cancel(viewer: Viewer, id: string): Promise<Changed<Job>> {
    const canceled = await this.transition(viewer, id, cancel, "canceled");
    this.hints.send("events", "canceling");
    this.audit(viewer, "job.cancel", [canceled.value.id]);
    return canceled;
  }

  /**
   * Queues a failed or canceled job again.
   * @throws AtlasError `job_not_found`, `invalid_transition`, `invalid_input`
   */
  async retry(viewer: Viewer, id: string): Promise<Changed<Job>> {
    const queued = await this.transition(viewer, id, retry, "retried");
    this.hints.send("events", "queued");
    this.audit(viewer, "job.retry", [queued.value.id]);
    return queued;
  }

  async dailyJobs(viewer: Viewer): Promise<DailyJobs> {
    return dailyJobsOf(viewer.seatType, await this.act(viewer, (tx) => readUsage(tx, viewer)));
  }

  private async admit(
    viewer: Viewer,
    inputs: readonly CreateJobInput[],
    onAllowance: OnAllowance,
    payloads: PayloadAllowance | null,
  ): Promise<Created<JobSummary[]>> {
    const jobs = inputs.map((input) => ({ id: randomUUID(), ...input }));
    if (jobs.some(({ idempotencyKey }) => idempotencyKey !== null)) await payloads?.turn();
    const replay = await this.replay(viewer, jobs, payloads);
    if (replay !== null) return replay;

    const { allowance, error: refusal } = await this.createLimit.take(viewer);
    if (allowance !== null) onAllowance(allowance);
    if (refusal !== null) throw refusal;

    for (let tries = 1; ; tries += 1) {
      try {
        return await this.createOrReplay(viewer, jobs, payloads);
      } catch (error) {
        // The create that took the key meanwhile is committed: the next look finds its job.
        if (!isKeyTaken(error) || tries === MAX_KEY_TRIES) throw error;
      }
    }
  }

  /** The jobs of creates that have all been made before; null when one has not, or was another. */
  private async replay(
    viewer: Viewer,
    jobs: readonly NewJob[],
    payloads: PayloadAllowance | null,
  ): Promise<Created<JobSummary[]> | null> {
    if (jobs.some(({ idempotencyKey }) => idempotencyKey === null)) return null;
    return this.act(viewer, async (tx) => {
      const replays = await findReplays(tx, viewer.tenantId, jobs);
      if (replays.size < jobs.length || [...replays.values()].some(({ same }) => !same)) return null;
      const found = await readReplayed(tx, viewer, replays, payloads);
      const value = jobs
        .map(({ idempotencyKey }) => found.get(idempotencyKey ?? ""))
        .filter((job) => job !== undefined);
      return value.length < jobs.length
        ? null
        : { value, eventCursor: this.eventCursor(viewer, tx, value), replayed: true };
    });
  }

  /** Creates the jobs whose idempotency keys are new, and gives the first job for the others. */
  private async createOrReplay(
    viewer: Viewer,
    jobs: readonly NewJob[],
    payloads: PayloadAllowance | null,
  ): Promise<Created<JobSummary[]>> {
    const dailyLimit = DAILY_JOBS[viewer.seatType];
    const { madeIds, ...created } = await this.act(viewer, async (tx) => {
      const replays = await findReplays(tx, viewer.tenantId, jobs);
      for (const [key, { same }] of replays) {
        if (!same)
          throw new AtlasError("idempotency_conflict", `The idempotency key ${key} was used with another input`);
      }
      const found = await readReplayed(tx, viewer, replays, payloads);
      const fresh = jobs.filter(({ idempotencyKey }) => !found.has(idempotencyKey ?? ""));
      const member = { tenantId: viewer.tenantId, userId: viewer.userId, dailyLimit };
      const made = fresh.length === 0 ? [] : await enqueue(tx, member, fresh);
      if (made !== null) {
        const byId = new Map(made.map((job) => [job.id, job]));
        const value = jobs
          .map(({ id, idempotencyKey }) => byId.get(id) ?? found.get(idempotencyKey ?? ""))
          .filter((job) => job !== undefined);
        return { value, eventCursor: this.eventCursor(viewer, tx, value), madeIds: made.map(({ id }) => id) };
      }
      const { used, retryAfterSeconds } = await readUsage(tx, viewer);
      throw new AtlasError(
        "daily_job_limit_exceeded",
        `The ${viewer.seatType} seat allows ${dailyLimit} jobs a day (UTC); ${used} are used, ${fresh.length} asked for`,
        { retryAfterSeconds },
      );
    });
    // Another create with the same keys was faster: this one is a replay, which costs nothing.
    if (madeIds.length === 0) await this.createLimit.giveBack(viewer);
    this.hints.send("queued", "events");
    this.audit(viewer, "job.create", madeIds);
    return { ...created, replayed: madeIds.length === 0 };
  }

  private async transition(
    viewer: Viewer,
    id: string,
    change: (tx: Transaction, tenantId: string, id: string) => Promise<Job | null>,
    done: string,
  ): Promise<Changed<Job>> {
    mayChange(viewer);
    return this.act(viewer, async (tx) => {
      const value = await change(tx, viewer.tenantId, jobId(id));
      if (value !== null) return { value, eventCursor: this.eventCursor(viewer, tx, [value]) };
      const { status } = await this.present(tx, viewer, id);
      throw new AtlasError("invalid_transition", `Job ${id} is ${status} and cannot be ${done}`);
    });
  }

  private async present(tx: Transaction, viewer: Viewer, id: string): Promise<JobSummary> {
    const [job] = await readJobs(tx, viewer.tenantId, [id]);
    if (job === undefined) throw notFound(id);
    return job;
  }

  private known<Shown extends JobSummary>(
    { tenantId }: Viewer,
    id: string,
    { job, head }: FoundJob<Shown>,
  ): Changed<Shown> {
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

  private act<T>(viewer: Viewer, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(sessionOf(viewer), work);
  }

  private eventCursor({ tenantId }: Viewer, tx: Transaction, shown: readonly { position: bigint }[]): string {
    return eventCursorOf(this.cursors, tenantId, tx, shown);
  }
}

/** The jobs of replays, by key; without those that are deleted meanwhile. */
async function readReplayed(
  tx: Transaction,
  { tenantId }: Viewer,
  replays: ReadonlyMap<string, Replay>,
  payloads: PayloadAllowance | null,
): Promise<Map<string, JobSummary>> {
  if (replays.size === 0) return new Map();
  const ids = [...replays.values()].map(({ id }) => id);
  const found = await readJobs(tx, tenantId, ids);
  const { jobs, cut } =
    payloads === null ? { jobs: found, cut: false } : await addPayloads(tx, tenantId, found, payloads);
  if (cut) {
    throw new AtlasError(
      "payload_too_large",
      "The jobs have more input and output than one answer may have; do not ask for it",
    );
  }
  const byId = new Map(jobs.map((job) => [job.id, job]));
  return new Map(
    [...replays].flatMap(([key, { id }]) => {
      const job = byId.get(id);
      return job === undefined ? [] : [[key, job] as const];
    }),
  );
}

function mayChange(viewer: Viewer): void {
  if (viewer.role === "viewer") {
    throw new AtlasError("tenant_access_denied", "Your role in this tenant is viewer: it reads and subscribes only");
  }
}

function jobKey({ tenantId }: Viewer, id: string): JobKey {
  return { tenantId, id: jobId(id) };
}

function jobId(id: string): string {
  if (!isUuid(id)) throw invalidInput([{ path: "id", message: "must be a UUID" }]);
  return id.toLowerCase();
}

export function notFound(id: string): AtlasError {
  return new AtlasError("job_not_found", `There is no job ${id}`);
}
