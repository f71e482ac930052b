import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import type { Logger } from "../log.js";
import type { JobEvent } from "../queue/job-event.js";
import { type Position, reachOf, startOf } from "./position.js";
import { readEvents } from "./read-events.js";

const BATCH = 1000;
const POLL_MS = 1_000;
const RETRY_MAX_MS = 5_000;

/** What the tail calls for a tenant's events. */
export interface TailListener {
  /** With each new event, in order. */
  event: (event: JobEvent) => void;
  /** Once a failover may have lost events that were passed on; no further events come. */
  lost: () => void;
}

/**
 * The process's one reader of new events. It reads while somebody listens: at a hint, after a batch that had rows, and
 * each second.
 */
export class Tail {
  private readonly listeners = new Map<string, Set<TailListener>>();
  private head: Position | null = null;
  private ready = Promise.withResolvers<void>();
  private running: Promise<void> | null = null;
  private closed = false;
  private hinted = false;
  private wake: (() => void) | null = null;
  private readonly stopHints: () => void;

  constructor(
    private readonly database: Database,
    hints: Hints,
    private readonly log: Logger,
  ) {
    this.stopHints = hints.on("events", () => {
      this.hinted = true;
      this.wake?.();
    });
  }

  /**
   * Calls `listener` for each new event of the tenant. What a transaction that is begun after this has resolved does not see, the
   * listener gets.
   * @returns what detaches the listener.
   */
  async attach(tenantId: string, listener: TailListener): Promise<() => void> {
    const listeners = this.listeners.get(tenantId) ?? new Set();
    this.listeners.set(tenantId, listeners.add(listener));
    if (this.running === null && !this.closed) {
      this.ready = Promise.withResolvers();
      this.running = this.run();
    }
    await this.ready.promise;
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(tenantId) === listeners) this.listeners.delete(tenantId);
      if (this.listeners.size === 0) this.wake?.();
    };
  }

  /** How many listeners are attached. */
  get size(): number {
    let size = 0;
    for (const listeners of this.listeners.values()) size += listeners.size;
    return size;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.stopHints();
    this.wake?.();
    await this.running;
  }

  private async run(): Promise<void> {
    this.head = null;
    let failures = 0;
    while (!this.closed && this.listeners.size > 0) {
      try {
        this.hinted = false;
        const found = await this.read();
        failures = 0;
        if (found === 0) await this.pause(POLL_MS);
      } catch (error) {
        const delayMs = Math.min(POLL_MS * 2 ** failures++, RETRY_MAX_MS);
        this.log.warn({ err: error, delayMs }, "the feed cannot read events");
        await this.pause(delayMs, false);
      }
    }
    // Without an await since the loop's condition: a listener attached from now on starts the tail again.
    this.running = null;
    // A closed tail never becomes ready: let those that still wait in `attach` go on.
    if (this.closed) this.ready.resolve();
  }

  private async read(): Promise<number> {
    const { head } = this;
    const { events, start, moved } = await this.database.transaction({ role: "feed" }, async (tx) => {
      const found = { events: [] as JobEvent[], start: startOf(tx.head), moved: false };
      if (head === null) return found;
      tx.requireReached(reachOf(head));
      // Only the tail's own head is compared here. A stream may have begun after a place ahead of it, such as a page's: the
      // stream checks that place itself.
      found.moved = head.position <= tx.movedTo;
      if (!found.moved) found.events = await readEvents(tx, { after: head, tenantId: null, limit: BATCH });
      return found;
    });
    if (moved) {
      this.log.warn("the database has failed over: live streams end, and resume after what it has kept");
      this.head = start;
      for (const listeners of this.listeners.values()) for (const listener of listeners) listener.lost();
      return 0;
    }
    const last = events.at(-1);
    if (last !== undefined) this.head = { position: last.position, id: last.id };
    else if (head === null) this.head = start;
    this.ready.resolve();
    for (const event of events) {
      for (const listener of this.listeners.get(event.tenantId) ?? []) listener.event(event);
    }
    return events.length;
  }

  private async pause(delayMs: number, wakeAtHints = true): Promise<void> {
    if (wakeAtHints && this.hinted) return;
    const wait = new AbortController();
    this.wake = () => {
      if (wakeAtHints || this.closed || this.listeners.size === 0) wait.abort();
    };
    await sleep(delayMs, undefined, { signal: wait.signal }).catch(() => undefined);
    this.wake = null;
  }
}
