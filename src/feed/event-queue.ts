import type { JobEvent } from "../queue/job-event.js";

/** A bounded queue between the tail and one subscriber. It never blocks the tail: an event that does not fit is dropped, and the queue has overflowed. */
export class EventQueue {
  private events: JobEvent[] = [];
  private wake: (() => void) | null = null;
  /** The subscriber has left. */
  closed = false;
  /** An event did not fit since the last `clear`. */
  overflowed = false;
  /** A failover may have lost the events that were queued last. */
  cutOff = false;

  constructor(private readonly capacity: number) {}

  push(event: JobEvent): void {
    if (this.closed || this.overflowed || this.cutOff) return;
    if (this.events.length >= this.capacity) this.overflowed = true;
    else this.events.push(event);
    this.wake?.();
  }

  /** Takes no further events; those that are queued can still be taken. */
  cut(): void {
    this.cutOff = true;
    this.wake?.();
  }

  /** Forgets what is queued, and that it overflowed. */
  clear(): void {
    this.events = [];
    this.overflowed = false;
  }

  /** Everything queued, at least one event unless overflowed or cut off; null once closed. */
  async take(): Promise<JobEvent[] | null> {
    while (!this.closed && this.events.length === 0 && !this.overflowed && !this.cutOff) {
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = null;
    }
    if (this.closed) return null;
    const taken = this.events;
    this.events = [];
    return taken;
  }

  close(): void {
    this.closed = true;
    this.events = [];
    this.wake?.();
  }
}
