import type { JobEvent } from "../queue/job-event.js";

/** A bounded queue between the tail and one subscriber. It never blocks the tail: what does not fit marks it as full. */
export class EventQueue {
  private events: JobEvent[] = [];
  private wake: (() => void) | null = null;
  /** The subscriber is gone. */
  closed = false;
  /** An event did not fit since the last `clear`. */
  overflowed = false;
  /** What was queued last may have been lost by the database. */
  cutOff = false;

  constructor(private readonly capacity: number) {}

  push(event: JobEvent): void {
    if (this.closed || this.overflowed || this.cutOff) return;
    if (this.events.length >= this.capacity) this.overflowed = true;
    else this.events.push(event);
    this.wake?.();
  }

  /** Nothing comes after what is queued. */
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
