import { raw, type EntityManager } from "@mikro-orm/postgresql";
import { textFault } from "../bounds/text.js";
import { isUuid, uuidFromBytes, uuidToBytes } from "../bounds/uuid.js";
import { JobEntity } from "../database/entities/job.entity.js";
import { JobCountEntity } from "../database/entities/job-count.entity.js";
import type { Transaction } from "../database/database.js";
import { type ErrorDetail, invalidInput } from "../errors.js";
import type { CursorCodec, Cursors } from "./cursors.js";
import {
  type Job,
  JOB_SUMMARY_FIELDS,
  type JobStatus,
  type JobSummary,
  type JobSummaryRow,
  toJobSummary,
} from "../queue/job.js";
import { readPayloads } from "../queue/read-payloads.js";
import type { PayloadAllowance } from "./payload-allowance.js";
import { instantFault } from "../bounds/instants.js";

export interface JobFilter {
  /** Any of these; absent: any. */
  status?: readonly JobStatus[] | null | undefined;
  jobType?: readonly string[] | null | undefined;
  createdAfter?: Date | null | undefined;
  createdBefore?: Date | null | undefined;
}

/** Which part of a list: the first after a cursor, or the last before one. */
export interface PageInput {
  filter?: JobFilter | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}

/** Jobs without their payloads, or with them. */
export interface JobPage<Shown extends JobSummary> {
  jobs: Shown[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
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

const MAX_PAGE_SIZE = 200;
const DEFAULT_PAGE_SIZE = 50;
const MAX_FILTER_VALUES = 100;
/** The query builder's rows as those of the queue's statements, so that one mapper reads both. */
const AS_THE_DRIVER_GIVES = false;

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
  page: PageInput,
  readOn: ReadOn<Shown>,
): Promise<JobPage<Shown>> {
  checkPage(page);
  const backward = page.last != null;
  const size = page.last ?? page.first ?? DEFAULT_PAGE_SIZE;
  const direction = backward ? "asc" : "desc";
  const query = tx.em
    .qb(JobEntity)
    .select(JOB_SUMMARY_FIELDS)
    .where(jobsWhere(tenantId, page.filter))
    .orderBy({ priority: direction, createdAt: direction, id: direction })
    .limit(size + 1);
  for (const [cursor, operator] of [
    [page.after, "<"],
    [page.before, ">"],
  ] as const) {
    if (cursor == null) continue;
    const { priority, createdAt, id } = cursors.open(JOB_PLACE, tenantId, cursor);
    query.andWhere(`(priority, created_at, id) ${operator} (?, ?, ?)`, [priority, createdAt.toISOString(), id]);
  }
  const rows = await query.execute<JobSummaryRow[]>("all", AS_THE_DRIVER_GIVES);
  const { jobs, cut } = await readOn(rows.slice(0, size).map(toJobSummary));
  const more = rows.length > size || cut;
  return backward
    ? { jobs: jobs.toReversed(), hasPreviousPage: more, hasNextPage: page.before != null }
    : { jobs, hasNextPage: more, hasPreviousPage: page.after != null };
}

/** The tenant's jobs with these ids, in any order. */
export async function readJobs(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<JobSummary[]> {
  const rows = await tx.em
    .qb(JobEntity)
    .select(JOB_SUMMARY_FIELDS)
    .where({ tenantId, id: { $in: [...ids] } })
    .execute<JobSummaryRow[]>("all", AS_THE_DRIVER_GIVES);
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
  checkFilter(filter);
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

/** @throws AtlasError `invalid_input` for sizes out of bounds, both of them, or a filter that cannot be one. */
export function checkPage({ first, last, filter }: PageInput): void {
  const details: ErrorDetail[] = [];
  for (const [path, size] of Object.entries({ first, last })) {
    const message = size == null ? null : sizeFault(size);
    if (message !== null) details.push({ path, message });
  }
  if (first != null && last != null) details.push({ path: "last", message: "must not be given together with first" });
  if (details.length > 0) throw invalidInput(details);
  checkFilter(filter);
}

/** @throws AtlasError `invalid_input` */
export function pageSize(first: number | null | undefined): number {
  const message = first == null ? null : sizeFault(first);
  if (message !== null) throw invalidInput([{ path: "first", message }]);
  return first ?? DEFAULT_PAGE_SIZE;
}

/** Why a page cannot have so many; null when it can. */
function sizeFault(size: number): string | null {
  return size < 1 || size > MAX_PAGE_SIZE ? `must be 1–${MAX_PAGE_SIZE}, got ${size}` : null;
}

/** @throws AtlasError `invalid_input` naming each list that is too long and whatever cannot be a value of its field. */
export function checkFilter(
  filter:
    | { status?: unknown; jobType?: unknown; jobId?: unknown; createdAfter?: unknown; createdBefore?: unknown }
    | null
    | undefined,
): void {
  const details: ErrorDetail[] = [];
  for (const path of ["status", "jobType", "jobId"] as const) {
    const values: unknown = filter?.[path];
    if (!Array.isArray(values)) continue;
    if (values.length > MAX_FILTER_VALUES) {
      details.push({ path: `filter.${path}`, message: `must name at most ${MAX_FILTER_VALUES}, got ${values.length}` });
    } else if (path === "jobId" && !values.every((id) => typeof id === "string" && isUuid(id))) {
      details.push({ path: "filter.jobId", message: "must be UUIDs" });
    } else if (path === "jobType") {
      const fault = values.map((type) => textFault(String(type))).find((message) => message !== null);
      if (fault !== undefined) details.push({ path: "filter.jobType", message: fault });
    }
  }
  for (const path of ["createdAfter", "createdBefore"] as const) {
    const instant: unknown = filter?.[path];
    const message = instant instanceof Date ? instantFault(instant) : null;
    if (message !== null) details.push({ path: `filter.${path}`, message });
  }
  if (details.length > 0) throw invalidInput(details);
}
