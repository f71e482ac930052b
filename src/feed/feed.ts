import { setTimeout as sleep } from "node:timers/promises";
import type { Database, Transaction } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { FEED } from "../limits/policies.js";
import type { JobEvent } from "../queue/job-event.js";
import { EndedStream, ExpiredPosition } from "./endings.js";
import { EventQueue } from "./event-queue.js";
import { comparePositions, type Position, startOf } from "./position.js";
import { readEvents, readGap } from "./read-events.js";
import type { Tail } from "./tail.js";

export interface Subscription {
  tenantId: string;
  /** null: from now on. */
  after: Position | null;
  /** Which events the subscriber wants. */
  accepts: (event: JobEvent) => boolean;
}

/** A stream of events in order; `return` ends it at once, also while `next` waits. */
export interface EventStream extends AsyncIterableIterator<JobEvent, undefined, undefined> {
  /** A subscription after this place gives the same events. */
  readonly startsAfter: Position;
}

const REPLAY_BATCH = 500;
const REPLAY_RETRY_MS = 1_000;

/** Serves subscribers: first the events that they missed, read from the log; then new events, from the tail. */
export class Feed {
  constructor(
    private readonly database: Database,
    private readonly tail: Tail,
  ) {}

  /**
   * Starts a stream of the tenant's events after a place. Each event comes at least once, a job's in version order
   * without a hole.
   * @throws ExpiredPosition; AtlasError `unavailable`. The stream itself throws EndedStream.
   */
  async subscribe({ tenantId, after, accepts }: Subscription): Promise<EventStream> {
    const queue = new EventQueue(FEED.waitingEvents);
    const detach = await this.tail.attach(tenantId, {
      event: (event) => {
        if (accepts(event)) queue.push(event);
      },
      lost: () => queue.cut(),
    });
    try {
      const start = await this.startAt(tenantId, after);
      return streamOf(start, this.events(tenantId, start, accepts, queue), () => {
        detach();
        queue.close();
      });
    } catch (error) {
      detach();
      throw error;
    }
  }

  private async startAt(tenantId: string, after: Position | null): Promise<Position> {
    return this.database.transaction({ role: "feed", tenantId }, async (tx) => {
      if (after !== null) await refuseExpired(tx, after);
      return after ?? startOf(tx.head);
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
      if (queue.cutOff) throw new EndedStream("failover", last);
      if (queue.overflowed) throw new EndedStream("slow consumer", last);
    }
  }

  private async replay(tenantId: string, after: Position, queue: EventQueue): Promise<JobEvent[]> {
    while (!queue.closed) {
      try {
        return await this.database.transaction({ role: "feed", tenantId }, (tx) =>
          readUnexpired(tx, { after, tenantId, limit: REPLAY_BATCH }),
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
 * Reads a tenant's events after a place.
 * @throws ExpiredPosition where retention or a failover has removed events next to the place, even while this reads
 */
export async function readUnexpired(
  tx: Transaction,
  part: { after: Position; tenantId: string; limit: number },
): Promise<JobEvent[]> {
  const events = await readEvents(tx, part);
  // After the events, not before: each statement has its own snapshot, and retention may run between the two.
  await refuseExpired(tx, part.after);
  return events;
}

/** @throws ExpiredPosition, whose head is the place of the transaction's start */
async function refuseExpired(tx: Transaction, after: Position): Promise<void> {
  const gap = await readGap(tx, after);
  if (gap !== null) throw new ExpiredPosition(gap, startOf(tx.head));
}

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
