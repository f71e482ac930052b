import { randomUUID } from "node:crypto";
import { sessionOf, type Viewer } from "../auth/viewer.js";
import type { Database, Transaction } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { DAILY_JOBS } from "../limits/policies.js";
import { isKeyTaken, type NewJob } from "../queue/enqueue.js";
import { enqueueInDay } from "../queue/enqueue-in-day.js";
import { findReplays, type Replay } from "../queue/find-replays.js";
import type { JobSummary } from "../queue/job.js";
import { readUsage } from "../queue/usage.js";
import type { CreateJobInput } from "./create-job-input.js";
import type { CreateLimit, OnAllowance } from "./create-limit.js";
import type { Cursors } from "./cursors.js";
import { eventCursorOf, type Snapshot } from "./event-place.js";
import { addPayloads, asSummaries, readJobs } from "./read-jobs.js";
import type { PayloadAllowance } from "./payload-allowance.js";

/** Jobs in the order of their creates: made, or found where creates under the same idempotency keys have made them before. */
export interface CreatedJobs extends Snapshot<JobSummary[]> {
  /** Those that were made. */
  madeIds: string[];
}

/** A create looks for its idempotency keys once more, each time that another create takes one meanwhile. */
const MAX_KEY_TRIES = 3;

/**
 * Makes jobs of a member's creates, all or none. If every create is a repeat (the same idempotency keys), it is free. Otherwise
 * the call counts once for the minute's limit, and each new job once for the day's.
 */
export class JobCreation {
  constructor(
    private readonly database: Database,
    private readonly cursors: Cursors,
    private readonly createLimit: CreateLimit,
  ) {}

  /**
   * @param payloads how much input and output jobs that are found may have. null: they have none.
   * @throws AtlasError `rate_limit_exceeded`, `daily_job_limit_exceeded`, `idempotency_conflict`, `payload_too_large`
   */
  async create(
    viewer: Viewer,
    inputs: readonly CreateJobInput[],
    onAllowance: OnAllowance,
    payloads: PayloadAllowance | null,
  ): Promise<CreatedJobs> {
    const jobs = inputs.map((input) => ({ id: randomUUID(), ...input }));
    if (jobs.some(({ idempotencyKey }) => idempotencyKey !== null)) await payloads?.turn();
    const replay = await this.replay(viewer, jobs, payloads);
    if (replay !== null) return replay;

    const { allowance, error: refusal } = await this.createLimit.take(viewer);
    if (allowance !== null) onAllowance(allowance);
    if (refusal !== null) throw refusal;

    const created = await this.createOrReplay(viewer, jobs, payloads);
    // Another create with the same keys was faster: this one is a replay, which costs nothing.
    if (created.madeIds.length === 0) await this.createLimit.giveBack(viewer);
    return created;
  }

  /** The jobs of creates that have all been made before; null when one has not, or was another. */
  private async replay(
    viewer: Viewer,
    jobs: readonly NewJob[],
    payloads: PayloadAllowance | null,
  ): Promise<CreatedJobs | null> {
    if (jobs.some(({ idempotencyKey }) => idempotencyKey === null)) return null;
    return this.database.transaction(sessionOf(viewer), async (tx) => {
      const replays = await findReplays(tx, viewer.tenantId, jobs);
      if (replays.size < jobs.length || [...replays.values()].some(({ same }) => !same)) return null;
      const found = await readReplayed(tx, viewer, replays, payloads);
      return found.size < jobs.length ? null : this.inOrder(viewer, tx, jobs, { made: [], found });
    });
  }

  /** Creates the jobs whose idempotency keys are new, and gives the first job for the others. */
  private async createOrReplay(
    viewer: Viewer,
    jobs: readonly NewJob[],
    payloads: PayloadAllowance | null,
  ): Promise<CreatedJobs> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.database.transaction(sessionOf(viewer), async (tx) => {
          const replays = await findReplays(tx, viewer.tenantId, jobs);
          refuseConflicts(replays);
          const found = await readReplayed(tx, viewer, replays, payloads);
          const fresh = jobs.filter(({ idempotencyKey }) => !found.has(idempotencyKey ?? ""));
          const made = fresh.length === 0 ? [] : await enqueueOrRefuse(tx, viewer, fresh);
          return this.inOrder(viewer, tx, jobs, { made, found });
        });
      } catch (error) {
        // The create that took the key meanwhile is committed: the next look finds its job.
        if (!isKeyTaken(error) || tries === MAX_KEY_TRIES) throw error;
      }
    }
  }

  private inOrder(
    { tenantId }: Viewer,
    tx: Transaction,
    jobs: readonly NewJob[],
    { made, found }: { made: readonly JobSummary[]; found: ReadonlyMap<string, JobSummary> },
  ): CreatedJobs {
    const byId = new Map(made.map((job) => [job.id, job]));
    const value = jobs
      .map(({ id, idempotencyKey }) => byId.get(id) ?? found.get(idempotencyKey ?? ""))
      .filter((job) => job !== undefined);
    const eventCursor = eventCursorOf(this.cursors, tenantId, tx, value);
    return { value, eventCursor, madeIds: made.map(({ id }) => id) };
  }
}

/** @throws AtlasError `daily_job_limit_exceeded` */
async function enqueueOrRefuse(tx: Transaction, viewer: Viewer, jobs: readonly NewJob[]): Promise<JobSummary[]> {
  const { tenantId, userId, seatType } = viewer;
  const dailyLimit = DAILY_JOBS[seatType];
  const made = await enqueueInDay(tx, { tenantId, userId, dailyLimit }, jobs);
  if (made !== null) return made;
  const { used, retryAfterSeconds } = await readUsage(tx, viewer);
  throw new AtlasError(
    "daily_job_limit_exceeded",
    `The ${seatType} seat allows ${dailyLimit} jobs a day (UTC); ${used} are used, ${jobs.length} asked for`,
    { retryAfterSeconds },
  );
}

/** @throws AtlasError `idempotency_conflict` */
function refuseConflicts(replays: ReadonlyMap<string, Replay>): void {
  for (const [key, { same }] of replays) {
    if (!same) throw new AtlasError("idempotency_conflict", `The idempotency key ${key} was used with another input`);
  }
}

/**
 * The jobs of replays, by key; without those that are deleted meanwhile.
 * @throws AtlasError `payload_too_large`
 */
async function readReplayed(
  tx: Transaction,
  { tenantId }: Viewer,
  replays: ReadonlyMap<string, Replay>,
  payloads: PayloadAllowance | null,
): Promise<Map<string, JobSummary>> {
  if (replays.size === 0) return new Map();
  const ids = [...replays.values()].map(({ id }) => id);
  const summaries = await readJobs(tx, tenantId, ids);
  const { jobs, cut } =
    payloads === null ? await asSummaries(summaries) : await addPayloads(tx, tenantId, summaries, payloads);
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
