import { sessionOf, type Viewer } from "../auth/viewer.js";
import type { Database } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { EndedStream, ExpiredPosition } from "../feed/endings.js";
import { type Feed, readUnexpired } from "../feed/feed.js";
import { type Position, startOf } from "../feed/position.js";
import { readEvents } from "../feed/read-events.js";
import type { JobEvent } from "../queue/job-event.js";
import { readLastEvents } from "../queue/read-last-events.js";
import { type ChangeFilter, checkChangeFilter, passes } from "./change-filter.js";
import type { Cursors } from "./cursors.js";
import { EVENT_PLACE } from "./event-place.js";
import { type ForwardPageInput, type LivePage, pageOf, partOf, type Placed, placed } from "./page.js";

/** An event and the cursor that goes on after it. */
export type StatusChange = Placed<JobEvent>;

/** Status changes as they come; `return` ends the stream at once. */
export interface ChangeStream extends AsyncIterableIterator<StatusChange> {
  /** Resumes the stream from its beginning. */
  readonly startCursor: string;
  readonly startsAfter: Position;
}

const RESUME_SECONDS = 1;
const GAPS = {
  pruned: "The cursor is older than the events that are kept",
  lost: "The cursor is of a part of the log that a failover has lost",
};

/** The log of a tenant's status changes, live and in pages. Each method acts for one viewer. */
export class EventService {
  /** Each event's cursor, made once for all subscribers: to make it takes longer than to send the event. */
  private readonly made = new WeakMap<JobEvent, string>();

  constructor(
    private readonly database: Database,
    private readonly feed: Feed,
    private readonly cursors: Cursors,
  ) {}

  /**
   * Every status change of the tenant's jobs after a cursor, or from now on.
   * @throws AtlasError `invalid_input`, `invalid_cursor`, `cursor_expired` (with `headCursor`), `unavailable`. The stream itself
   * throws `slow_consumer` when the subscriber is behind by more events than its queue holds, `unavailable` when a failover may
   * have lost what it was sent; both with `lastCursor`.
   */
  async changes({ tenantId }: Viewer, filter: ChangeFilter | null, after: string | null): Promise<ChangeStream> {
    checkChangeFilter(filter);
    const translated = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => this.rethrow(tenantId, error));
    const stream = await translated(
      this.feed.subscribe({
        tenantId,
        after: after === null ? null : this.cursors.open(EVENT_PLACE, tenantId, after),
        accepts: passes(filter),
      }),
    );
    const withCursor = ({ done, value }: IteratorResult<JobEvent, undefined>): IteratorResult<StatusChange> =>
      done === true ? { done, value: undefined } : { done: false, value: placed(value, this.cursorOf) };
    const changes: ChangeStream = {
      startCursor: this.cursors.seal(EVENT_PLACE, tenantId, stream.startsAfter),
      startsAfter: stream.startsAfter,
      next: async () => withCursor(await translated(stream.next())),
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
  async tenantEvents(viewer: Viewer, page: ForwardPageInput): Promise<LivePage<JobEvent>> {
    const part = partOf(page);
    const { tenantId } = viewer;
    const after = part.after === null ? null : this.cursors.open(EVENT_PLACE, tenantId, part.after);
    const found = this.database.transaction(sessionOf(viewer), async (tx) => {
      const range = { tenantId, limit: part.limit };
      // Without a cursor the page begins with the oldest event that is kept.
      const events = await (after === null
        ? readEvents(tx, { ...range, after: startOf(0n) })
        : readUnexpired(tx, { ...range, after }));
      const { items, ...where } = pageOf(part, events, this.cursorOf);
      const eventCursor =
        (where.hasNextPage ? items.at(-1)?.cursor : null) ?? this.cursors.seal(EVENT_PLACE, tenantId, startOf(tx.head));
      return { items, ...where, eventCursor };
    });
    return found.catch((error: unknown) => this.rethrow(tenantId, error));
  }

  /** Each job's last change so far, in any order; also of a job that is deleted. */
  async lastChanges(viewer: Viewer, jobIds: readonly string[]): Promise<StatusChange[]> {
    const events = await this.database.transaction(sessionOf(viewer), (tx) =>
      readLastEvents(tx, viewer.tenantId, jobIds),
    );
    return events.map((event) => placed(event, this.cursorOf));
  }

  /** Throws the feed's errors as clients know them, and others as they are. */
  private rethrow(tenantId: string, error: unknown): never {
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

  private readonly cursorOf = (event: JobEvent): string => {
    const made = this.made.get(event) ?? this.cursors.seal(EVENT_PLACE, event.tenantId, event);
    this.made.set(event, made);
    return made;
  };
}
