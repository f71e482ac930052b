import { sessionOf, type Viewer } from "../auth/viewer.js";
import { uuidFromBytes, uuidToBytes } from "../bounds/uuid.js";
import type { Database } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { EndedStream, ExpiredPosition } from "../feed/endings.js";
import { type EventStream, type Feed, readUnexpired } from "../feed/feed.js";
import { type Position, startOf } from "../feed/position.js";
import { readEvents } from "../feed/read-events.js";
import type { JobStatus } from "../queue/job.js";
import type { JobEvent } from "../queue/job-event.js";
import { type HistoryPart, readAttemptEvents, readHistories } from "../queue/read-histories.js";
import { readLastEvents } from "../queue/read-last-events.js";
import type { CursorCodec, Cursors } from "./cursors.js";
import { EVENT_PLACE } from "./event-place.js";
import { type JobAttempt, toAttempts } from "./job-attempts.js";
import { checkFilter, checkPage, pageSize } from "./job-page.js";
import { TenantLoader } from "./tenant-loader.js";

/** Which status changes a subscriber wants; absent: all. */
export interface ChangeFilter {
  jobId?: readonly string[] | null | undefined;
  jobType?: readonly string[] | null | undefined;
  status?: readonly JobStatus[] | null | undefined;
}

/** An event and the cursor that goes on after it. */
export interface StatusChange extends JobEvent {
  cursor: string;
}

/** Status changes as they come; `return` ends the stream at once. */
export interface ChangeStream extends AsyncIterableIterator<StatusChange> {
  /** Resumes the stream from its beginning. */
  readonly startCursor: string;
  readonly startsAfter: Position;
}

/** Which part of a list of events, oldest first: the first after a cursor. */
export interface EventPageInput {
  first?: number | null | undefined;
  after?: string | null | undefined;
}

/** Or the last before one. */
export interface JobEventPageInput extends EventPageInput {
  last?: number | null | undefined;
  before?: string | null | undefined;
}

export interface EventPage {
  events: StatusChange[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  /** Subscribe after this cursor, and no change since this page is missed. */
  eventCursor: string;
}

/** A place in one job's events. */
export const JOB_EVENT_PLACE: CursorCodec<{ jobId: string; version: number }> = {
  kind: "version",
  bytes: 20,
  encode({ jobId, version }) {
    const payload = Buffer.alloc(20);
    uuidToBytes(jobId).copy(payload);
    payload.writeInt32BE(version, 16);
    return payload;
  },
  decode: (payload) => ({ jobId: uuidFromBytes(payload.subarray(0, 16)), version: payload.readInt32BE(16) }),
};

type OfTenant<T> = T & { tenantId: string };

const MAX_ATTEMPTS_SHOWN = 100;
/** A batch of histories is one statement; its answer stays within some ten thousand rows. */
const MAX_BATCH = 200;
const RESUME_SECONDS = 1;
const GAPS = {
  pruned: "The cursor is older than the events that are kept",
  lost: "The cursor is of a part of the log that a failover has lost",
};

/** The log of status changes: live, in pages, a job's own, and as attempts. Each method acts for one viewer. */
export class EventService {
  private readonly histories;
  private readonly attemptsOf;
  /** Cursors of events that are sent: to make one takes longer than the rest, and all subscribers are sent the same. */
  private readonly made = new WeakMap<JobEvent, string>();

  constructor(
    private readonly database: Database,
    private readonly feed: Feed,
    private readonly cursors: Cursors,
  ) {
    this.histories = new TenantLoader(
      database,
      { maxBatchSize: MAX_BATCH, nameOf: (part: OfTenant<HistoryPart>) => JSON.stringify(part) },
      async (tx, tenantId, parts: readonly OfTenant<HistoryPart>[]) => {
        const histories = await readHistories(tx, tenantId, parts);
        return histories.map((events) => ({ events, head: tx.head }));
      },
    );
    this.attemptsOf = new TenantLoader(
      database,
      { maxBatchSize: MAX_BATCH, nameOf: ({ jobId }: OfTenant<{ jobId: string }>) => jobId },
      async (tx, tenantId, jobs: readonly OfTenant<{ jobId: string }>[]) => {
        const ids = jobs.map(({ jobId }) => jobId);
        // Two events an attempt: the one that began it, and the one that ended it.
        return (await readAttemptEvents(tx, tenantId, ids, 2 * MAX_ATTEMPTS_SHOWN)).map(toAttempts);
      },
    );
  }

  /**
   * Every status change of the tenant's jobs after a cursor, or from now on.
   * @throws AtlasError `invalid_input`, `invalid_cursor`, `cursor_expired` (with `headCursor`), `unavailable`. The stream itself
   * throws `slow_consumer` when the subscriber is behind by more events than its queue holds, `unavailable` when a failover may
   * have lost what it was sent; both with `lastCursor`.
   */
  async changes(viewer: Viewer, filter: ChangeFilter | null, after: string | null): Promise<ChangeStream> {
    checkFilter(filter);
    const ids = filter?.jobId == null ? null : new Set(filter.jobId.map((id) => id.toLowerCase()));
    const types = filter?.jobType == null ? null : new Set(filter.jobType);
    const statuses = filter?.status == null ? null : new Set<JobStatus | null>(filter.status);
    const { tenantId } = viewer;
    const told = <T>(work: Promise<T>): Promise<T> => work.catch((error: unknown) => this.tell(tenantId, error));
    const stream: EventStream = await told(
      this.feed.subscribe({
        tenantId,
        after: after === null ? null : this.cursors.open(EVENT_PLACE, tenantId, after),
        accepts: (event) =>
          (ids === null || ids.has(event.jobId)) &&
          (types === null || types.has(event.jobType)) &&
          (statuses === null || statuses.has(event.status)),
      }),
    );
    const withCursor = ({ done, value }: IteratorResult<JobEvent, undefined>): IteratorResult<StatusChange> =>
      done === true ? { done, value: undefined } : { done: false, value: this.toChange(viewer, value) };
    const changes: ChangeStream = {
      startCursor: this.cursors.seal(EVENT_PLACE, tenantId, stream.startsAfter),
      startsAfter: stream.startsAfter,
      next: async () => withCursor(await told(stream.next())),
      return: async () => withCursor((await stream.return?.()) ?? { done: true, value: undefined }),
      [Symbol.asyncIterator]: () => changes,
    };
    return changes;
  }

  /**
   * A page of the tenant's events, as far as they are final: an event appears once no transaction is open that could
   * still put one before it.
   * @throws AtlasError `invalid_input`, `invalid_cursor`, `cursor_expired`
   */
  async tenantEvents(viewer: Viewer, { first, after }: EventPageInput): Promise<EventPage> {
    const size = pageSize(first);
    const { tenantId } = viewer;
    const from = after == null ? null : this.cursors.open(EVENT_PLACE, tenantId, after);
    const page = this.database.transaction(sessionOf(viewer), async (tx) => {
      const part = { tenantId, limit: size + 1 };
      // Without a cursor it begins with what is kept.
      const found = await (from === null
        ? readEvents(tx, { ...part, after: startOf(0n) })
        : readUnexpired(tx, { ...part, after: from }));
      const events = found.slice(0, size).map((event) => this.toChange(viewer, event));
      const hasNextPage = found.length > size;
      const eventCursor =
        (hasNextPage ? events.at(-1)?.cursor : null) ?? this.cursors.seal(EVENT_PLACE, tenantId, startOf(tx.head));
      return { events, hasNextPage, hasPreviousPage: after != null, eventCursor };
    });
    return page.catch((error: unknown) => this.tell(tenantId, error));
  }

  /**
   * A page of one job's events, up to the last one committed. Its cursors are the job's own, no places in the tenant's
   * events.
   * @throws AtlasError `invalid_input`, `invalid_cursor`
   */
  async jobEvents({ tenantId }: Viewer, jobId: string, page: JobEventPageInput): Promise<EventPage> {
    checkPage(page);
    const { first, after, last, before } = page;
    const versionAt = (cursor: string): number => {
      const place = this.cursors.open(JOB_EVENT_PLACE, tenantId, cursor);
      if (place.jobId === jobId) return place.version;
      throw new AtlasError("invalid_cursor", "The cursor is not one of this job's events");
    };
    const backward = last != null;
    const size = pageSize(last ?? first);
    const { events: found, head } = await this.histories.load({
      tenantId,
      jobId,
      afterVersion: after == null ? 0 : versionAt(after),
      beforeVersion: before == null ? null : versionAt(before),
      backward,
      limit: size + 1,
    });
    const more = found.length > size;
    const events = (backward ? found.slice(-size) : found.slice(0, size)).map((event) => ({
      ...event,
      cursor: this.cursors.seal(JOB_EVENT_PLACE, tenantId, event),
    }));
    return {
      events,
      hasNextPage: backward ? before != null : more,
      hasPreviousPage: backward ? more : after != null,
      eventCursor: this.cursors.seal(EVENT_PLACE, tenantId, startOf(head, found.at(-1)?.position)),
    };
  }

  /** Each job's last change so far, in any order; also of a job that is deleted. */
  async lastChanges(viewer: Viewer, jobIds: readonly string[]): Promise<StatusChange[]> {
    const events = await this.database.transaction(sessionOf(viewer), (tx) =>
      readLastEvents(tx, viewer.tenantId, jobIds),
    );
    return events.map((event) => this.toChange(viewer, event));
  }

  /** A job's last hundred attempts, oldest first; without stacks for members whose role is viewer. */
  async attempts({ tenantId, role }: Viewer, jobId: string): Promise<JobAttempt[]> {
    const attempts = await this.attemptsOf.load({ tenantId, jobId });
    return role === "viewer" ? attempts.map((attempt) => ({ ...attempt, stack: null })) : attempts;
  }

  /** Throws what the feed has thrown, in the words of clients. */
  private tell(tenantId: string, error: unknown): never {
    if (error instanceof ExpiredPosition) {
      const headCursor = this.cursors.seal(EVENT_PLACE, tenantId, error.head);
      throw new AtlasError("cursor_expired", GAPS[error.gap], { extensions: { headCursor } });
    }
    if (error instanceof EndedStream) {
      const extensions = { lastCursor: this.cursors.seal(EVENT_PLACE, tenantId, error.last) };
      throw error.why === "failover"
        ? new AtlasError("unavailable", "The database has failed over; subscribe again after lastCursor", {
            retryAfterSeconds: RESUME_SECONDS,
            extensions,
          })
        : new AtlasError("slow_consumer", "The subscriber fell behind; subscribe again after lastCursor", {
            extensions,
          });
    }
    throw error;
  }

  private toChange({ tenantId }: Viewer, event: JobEvent): StatusChange {
    const cursorOf = (): string => this.cursorOf(tenantId, event);
    return {
      ...event,
      get cursor() {
        return cursorOf();
      },
    };
  }

  private cursorOf(tenantId: string, event: JobEvent): string {
    const made = this.made.get(event) ?? this.cursors.seal(EVENT_PLACE, tenantId, event);
    this.made.set(event, made);
    return made;
  }
}
