import { setTimeout as sleep } from "node:timers/promises";
import type { Database, Transaction } from "../database/database.js";
import { AtlasError } from "../errors.js";
import type { JobEvent } from "../queue/job-event.js";
import type { Cursors } from "./cursors.js";
import { EventQueue } from "./event-queue.js";
import { comparePositions, type Position, startOf } from "./position.js";
import { readEvents, readGap } from "./read-events.js";
import type { Tail } from "./tail.js";

export interface Subscription {
  tenantId: string;
  /** An event cursor; null: from now on. */
  after: string | null;
  /** Which events the subscriber wants. */
  accepts: (event: JobEvent) => boolean;
}

/** A stream of events in order; `return` ends it at once, also while `next` waits. */
export interface EventStream extends AsyncIterableIterator<JobEvent, undefined, undefined> {
  /** Whoever subscribes again after this place gets what this stream gives. */
  readonly startsAfter: Position;
}

const QUEUE_CAPACITY = 1_000;
const REPLAY_BATCH = 500;
const REPLAY_RETRY_MS = 1_000;
const RESUME_SECONDS = 1;

/** Serves subscribers: first what they missed, read from the log, then what happens, from the tail. */
export class Feed {
  constructor(
    private readonly database: Database,
    private readonly tail: Tail,
    private readonly cursors: Cursors,
  ) {}

  /**
   * Starts a stream of the tenant's events after a cursor. Each event comes at least once, a job's in version order
   * without a hole.
   * @throws AtlasError `invalid_cursor`, `cursor_expired` (with `headCursor`), `unavailable`. The stream itself throws
   * `slow_consumer` (with `lastCursor`) when the subscriber falls behind by more than its queue holds, `unavailable` (with
   * `lastCursor`) when a failover may have lost what it was sent.
   */
  async subscribe({ tenantId, after, accepts }: Subscription): Promise<EventStream> {
    const from = after === null ? null : this.cursors.readEvent(tenantId, after);
    const queue = new EventQueue(QUEUE_CAPACITY);
    const detach = await this.tail.attach(tenantId, {
      event: (event) => {
        if (accepts(event)) queue.push(event);
      },
      lost: () => queue.cut(),
    });
    try {
      const start = await this.startAt(tenantId, from);
      return streamOf(start, this.events(tenantId, start, accepts, queue), () => {
        detach();
        queue.close();
      });
    } catch (error) {
      detach();
      throw error;
    }
  }

  private async startAt(tenantId: string, from: Position | null): Promise<Position> {
    return this.database.transaction({ role: "feed", tenantId }, async (tx) => {
      await refuseExpired(tx, this.cursors, tenantId, from);
      return from ?? startOf(tx.head);
    });
  }

  private async *events(
    tenantId: string,
    start: Position,
    accepts: (event: JobEvent) => boolean,
    queue: EventQueue,
  ): AsyncGenerator<JobEvent, undefined, undefined> {
    let last = start;
    // An overflow while the backlog is read loses nothing: what did not fit is read from the log.
    do {
      queue.clear();
      for (let full = true; full;) {
        const batch = await this.replay(tenantId, last, queue);
        for (const event of batch) {
          last = event;
          if (accepts(event)) yield event;
        }
        full = batch.length === REPLAY_BATCH;
      }
    } while (queue.overflowed);

    for (;;) {
      const events = await queue.take();
      if (events === null) return undefined;
      for (const event of events) {
        if (comparePositions(event, last) <= 0) continue;
        last = event;
        yield event;
      }
      if (queue.cutOff) {
        throw new AtlasError("unavailable", "The database has failed over; subscribe again after lastCursor", {
          retryAfterSeconds: RESUME_SECONDS,
          extensions: { lastCursor: this.cursors.ofEvent(tenantId, last) },
        });
      }
      if (queue.overflowed) {
        throw new AtlasError("slow_consumer", "The subscriber fell behind; subscribe again after lastCursor", {
          extensions: { lastCursor: this.cursors.ofEvent(tenantId, last) },
        });
      }
    }
  }

  private async replay(tenantId: string, after: Position, queue: EventQueue): Promise<JobEvent[]> {
    while (!queue.closed) {
      try {
        return await this.database.transaction({ role: "feed", tenantId }, (tx) =>
          readUnexpired(tx, this.cursors, { after, tenantId, limit: REPLAY_BATCH }),
        );
      } catch (error) {
        if (!(error instanceof AtlasError && error.code === "unavailable")) throw error;
        await sleep(REPLAY_RETRY_MS);
      }
    }
    return [];
  }
}

/**
 * Reads a tenant's events after a place, or refuses a place that retention or a failover has cut off, also in the meantime.
 * @throws AtlasError `cursor_expired`
 */
export async function readUnexpired(
  tx: Transaction,
  cursors: Cursors,
  part: { after: Position; tenantId: string; limit: number },
): Promise<JobEvent[]> {
  const events = await readEvents(tx, part);
  // Looked at after the reading: each statement has a snapshot of its own.
  await refuseExpired(tx, cursors, part.tenantId, part.after);
  return events;
}

/**
 * Refuses a place in the events that retention or a failover has cut off.
 * @throws AtlasError `cursor_expired`, with the `headCursor` from which the transaction's data can be followed
 */
async function refuseExpired(
  tx: Transaction,
  cursors: Cursors,
  tenantId: string,
  from: Position | null,
): Promise<void> {
  const gap = from === null ? null : await readGap(tx, from);
  if (gap === null) return;
  throw new AtlasError("cursor_expired", GAPS[gap], {
    extensions: { headCursor: cursors.ofEvent(tenantId, startOf(tx.head)) },
  });
}

const GAPS = {
  pruned: "The cursor is older than the events that are kept",
  lost: "The cursor is of a part of the log that a failover has lost",
};

/** An async generator's own `return` waits for a pending `next`; this one ends what `next` waits for. */
function streamOf(
  startsAfter: Position,
  events: AsyncGenerator<JobEvent, undefined, undefined>,
  end: () => void,
): EventStream {
  return {
    startsAfter,
    next: async () => {
      try {
        return await events.next();
      } catch (error) {
        end();
        throw error;
      }
    },
    return: () => {
      end();
      return events.return(undefined);
    },
    throw: (error: unknown) => {
      end();
      return events.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
