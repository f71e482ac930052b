import { AtlasError } from "../errors.js";

interface Turns {
  running: number;
  /** In the order that they came. */
  waiting: Set<() => void>;
}

const BOUNDS = { waiting: 1_000, waitMs: 10_000 };

/**
 * So many requests of one user at once, in this process; the others wait their turn. Whoever sends hundreds waits for
 * themselves, and everybody else finds connections and processor free.
 */
export class ConcurrencyLimit {
  private readonly users = new Map<string, Turns>();

  /** @param bounds how many of a user's may wait, and how long; for tests. */
  constructor(
    private readonly atOnce: number,
    private readonly bounds = BOUNDS,
  ) {}

  /**
   * Waits for a turn.
   * @param gone fires when nobody wants it any more.
   * @returns what gives the turn back; calling it again does nothing.
   * @throws AtlasError `rate_limit_exceeded` when too many wait already, or the wait takes too long
   */
  async enter(userId: string, gone: AbortSignal): Promise<() => void> {
    const turns = this.users.get(userId) ?? { running: 0, waiting: new Set() };
    this.users.set(userId, turns);
    if (turns.running < this.atOnce) turns.running += 1;
    else await this.wait(turns, gone);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const [next] = turns.waiting;
      // A turn is passed on, not given back and taken: nobody can slip in between.
      if (next !== undefined) next();
      else if (--turns.running === 0) this.users.delete(userId);
    };
  }

  /** How many users have a request under way. */
  get size(): number {
    return this.users.size;
  }

  private async wait({ waiting }: Turns, gone: AbortSignal): Promise<void> {
    const { waiting: limit, waitMs } = this.bounds;
    if (waiting.size >= limit) throw tooMany(`At most ${limit} requests of a user wait for their turn`);
    await new Promise<void>((resolve, reject) => {
      const over = (fail?: AtlasError): void => {
        waiting.delete(begin);
        clearTimeout(timer);
        gone.removeEventListener("abort", leave);
        if (fail === undefined) resolve();
        else reject(fail);
      };
      const begin = (): void => over();
      const leave = (): void => over(tooMany("The client went away while it waited for its turn"));
      const timer = setTimeout(
        () => over(tooMany(`At most ${this.atOnce} requests of a user run at once; others were before this one`)),
        waitMs,
      ).unref();
      waiting.add(begin);
      gone.addEventListener("abort", leave);
      if (gone.aborted) leave();
    });
  }
}

function tooMany(message: string): AtlasError {
  return new AtlasError("rate_limit_exceeded", message, { retryAfterSeconds: 1 });
}
