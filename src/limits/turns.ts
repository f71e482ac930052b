import { AtlasError } from "../errors.js";
import { TURNS } from "./policies.js";

interface Queue {
  running: number;
  /** In the order that they came. */
  waiting: Set<() => void>;
}

/**
 * So many at once for each key, in this process; the others of the key wait for their turn, in the order that they came. One key's
 * hundreds of requests do not hold up another's.
 */
export class Turns {
  private readonly turnsOf = new Map<string, Queue>();

  /**
   * @param what it is that takes turns, for the errors: "requests of a user".
   * @param bounds how many may wait, and how long; for tests.
   */
  constructor(
    private readonly atOnce: number,
    private readonly what: string,
    private readonly bounds: { waiting: number; waitMs: number } = TURNS,
  ) {}

  /**
   * Waits for a turn.
   * @param gone fires when nobody wants it any more.
   * @returns what gives the turn back; calling it again does nothing.
   * @throws AtlasError `rate_limit_exceeded` when too many wait already, or the wait takes too long
   */
  async enter(key: string, gone?: AbortSignal): Promise<() => void> {
    const turns = this.turnsOf.get(key) ?? { running: 0, waiting: new Set() };
    this.turnsOf.set(key, turns);
    if (turns.running < this.atOnce) turns.running += 1;
    else await this.wait(turns, gone);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const [next] = turns.waiting;
      // A turn is passed on, not given back and taken: nobody can slip in between.
      if (next !== undefined) next();
      else if (--turns.running === 0) this.turnsOf.delete(key);
    };
  }

  /** How many keys have a turn. */
  get size(): number {
    return this.turnsOf.size;
  }

  private async wait({ waiting }: Queue, gone?: AbortSignal): Promise<void> {
    const { waiting: limit, waitMs } = this.bounds;
    if (waiting.size >= limit) throw tooMany(`At most ${limit} ${this.what} wait for their turn`);
    await new Promise<void>((resolve, reject) => {
      const over = (fail?: AtlasError): void => {
        waiting.delete(begin);
        clearTimeout(timer);
        gone?.removeEventListener("abort", leave);
        if (fail === undefined) resolve();
        else reject(fail);
      };
      const begin = (): void => over();
      const leave = (): void => over(tooMany("The client went away while it waited for its turn"));
      const timer = setTimeout(
        () => over(tooMany(`At most ${this.atOnce} ${this.what} run at once; others were before this one`)),
        waitMs,
      ).unref();
      waiting.add(begin);
      gone?.addEventListener("abort", leave);
      if (gone?.aborted === true) leave();
    });
  }
}

/** Half of what there is, at least one: what one key may have at once, so that another finds some free. */
export function halfOf(count: number): number {
  return Math.max(Math.floor(count / 2), 1);
}

function tooMany(message: string): AtlasError {
  return new AtlasError("rate_limit_exceeded", message, { retryAfterSeconds: TURNS.retryAfterSeconds });
}
