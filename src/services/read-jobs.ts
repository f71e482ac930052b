import { raw, type EntityManager } from "@mikro-orm/postgresql";
import { uuidFromBytes, uuidToBytes } from "../bounds/uuid.js";
import { JobEntity } from "../database/entities/job.entity.js";
import { JobCountEntity } from "../database/entities/job-count.entity.js";
import type { Transaction } from "../database/database.js";
import type { CursorCodec, Cursors } from "./cursors.js";
import { type Job, JOB_SUMMARY_COLUMNS, type JobSummary, type JobSummaryRow, toJobSummary } from "../queue/job.js";
import { readPayloads } from "../queue/read-payloads.js";
import { checkJobFilter, type JobFilter } from "./job-filter.js";
import { type Page, type PageInput, pageOf, partOf } from "./page.js";
import type { PayloadAllowance } from "./payload-allowance.js";

/** Which part of which jobs. */
export interface JobPageInput extends PageInput {
  filter?: JobFilter | null | undefined;
}

/** A job's place in a list. */
export const JOB_PLACE: CursorCodec<Pick<Job, "priority" | "createdAt" | "id">> = {
  kind: "page",
  bytes: 28,
  encode({ priority, createdAt, id }) {
    const payload = Buffer.alloc(28);
    payload.writeInt32BE(priority, 0);
    payload.writeBigInt64BE(BigInt(createdAt.getTime()), 4);
    uuidToBytes(id).copy(payload, 12);
    return payload;
  },
  decode: (payload) => ({
    priority: payload.readInt32BE(0),
    createdAt: new Date(Number(payload.readBigInt64BE(4))),
    id: uuidFromBytes(payload.subarray(12)),
  }),
};

/** The query builder's rows as those of the queue's statements, so that one mapper reads both. */
const RENAMED_BY_THE_ORM = false;

/** Reads a page's jobs on, in the page's order. @returns them, and whether some are missing because they may not be read. */
type ReadOn<Shown extends JobSummary> = (jobs: JobSummary[]) => Promise<{ jobs: Shown[]; cut: boolean }>;

/** Leaves a page's jobs without their payloads. */
export const asSummaries: ReadOn<JobSummary> = (jobs) => Promise.resolve({ jobs, cut: false });

/**
 * Reads a page of a tenant's jobs: priority descending, then newest, then id, so that jobs which share a millisecond are
 * neither skipped nor repeated.
 * @param readOn where it leaves some out, the page is shorter than asked.
 * @throws AtlasError `invalid_input`, `invalid_cursor`
 */
export async function readJobPage<Shown extends JobSummary>(
  tx: Transaction,
  cursors: Cursors,
  tenantId: string,
  page: JobPageInput,
  readOn: ReadOn<Shown>,
): Promise<Page<Shown>> {
  const part = partOf(page);
  checkJobFilter(page.filter);
  const direction = part.backward ? "asc" : "desc";
  const query = tx.em
    .qb(JobEntity)
    .select(JOB_SUMMARY_COLUMNS)
    .where(jobsWhere(tenantId, page.filter))
    .orderBy({ priority: direction, createdAt: direction, id: direction })
    .limit(part.limit);
  for (const [cursor, operator] of [
    [part.after, "<"],
    [part.before, ">"],
  ] as const) {
    if (cursor === null) continue;
    const { priority, createdAt, id } = cursors.open(JOB_PLACE, tenantId, cursor);
    query.andWhere(`(priority, created_at, id) ${operator} (?, ?, ?)`, [priority, createdAt.toISOString(), id]);
  }
  const rows = await query.execute<JobSummaryRow[]>("all", RENAMED_BY_THE_ORM);
  const { jobs, cut } = await readOn(rows.slice(0, part.size).map(toJobSummary));
  return pageOf(part, jobs, (job) => cursors.seal(JOB_PLACE, tenantId, job), rows.length > part.size || cut);
}

/** The tenant's jobs with these ids, in any order. */
export async function readJobs(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<JobSummary[]> {
  const rows = await tx.em
    .qb(JobEntity)
    .select(JOB_SUMMARY_COLUMNS)
    .where({ tenantId, id: { $in: [...ids] } })
    .execute<JobSummaryRow[]>("all", RENAMED_BY_THE_ORM);
  return rows.map(toJobSummary);
}

/**
 * Adds what jobs were given and have returned, for as many as are allowed; at least one, so that every page moves on. Jobs
 * that are deleted meanwhile are left out.
 * @returns them, and whether some are missing because their payloads are not allowed any more.
 */
export async function addPayloads(
  tx: Transaction,
  tenantId: string,
  jobs: readonly JobSummary[],
  allowance: PayloadAllowance,
): Promise<{ jobs: Job[]; cut: boolean }> {
  if (jobs.length === 0) return { jobs: [], cut: false };
  const ids = jobs.map(({ id }) => id);
  const { payloads, spent } = await allowance.spend((maxBytes) => readPayloads(tx, tenantId, ids, maxBytes));
  const byId = new Map(payloads.map((payload) => [payload.id, payload]));
  const whole = jobs.flatMap((job) => {
    const payload = byId.get(job.id);
    return payload === undefined ? [] : { ...job, input: payload.input, output: payload.output };
  });
  return { jobs: whole, cut: spent && whole.length < jobs.length };
}

/**
 * Counts the tenant's jobs that pass a filter: from the kept counts, or by a scan where the filter asks for instants.
 */
export async function countJobs(em: EntityManager, tenantId: string, filter: JobFilter | null): Promise<number> {
  checkJobFilter(filter);
  if (filter?.createdAfter != null || filter?.createdBefore != null) {
    return em.qb(JobEntity).where(jobsWhere(tenantId, filter)).getCount();
  }
  const row = await em
    .qb(JobCountEntity)
    .select(raw("coalesce(sum(delta), 0)::int as total"))
    .where(jobsWhere(tenantId, { status: filter?.status, jobType: filter?.jobType }))
    .execute<{ total: number }>("get");
  return row.total;
}

function jobsWhere(tenantId: string, filter: JobFilter | null | undefined) {
  return {
    tenantId,
    ...(filter?.status != null && { status: { $in: [...filter.status] } }),
    ...(filter?.jobType != null && { jobType: { $in: [...filter.jobType] } }),
    ...((filter?.createdAfter != null || filter?.createdBefore != null) && {
      createdAt: {
        ...(filter.createdAfter != null && { $gt: filter.createdAfter }),
        ...(filter.createdBefore != null && { $lt: filter.createdBefore }),
      },
    }),
  };
}
