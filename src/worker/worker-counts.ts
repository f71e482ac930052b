/** What is counted of attempts: claimed, the statuses that they end in, and lost: ended without a status written by this worker. */
const OF_ATTEMPTS = ["claimed", "lost", "queued", "completed", "failed", "canceled"] as const;
const COUNTED = [...OF_ATTEMPTS, "turns"] as const;

/** A worker's attempts since the start. */
export type WorkerStats = Record<(typeof OF_ATTEMPTS)[number], number>;

/** Counts a worker's attempts, and turns of its event loop, in memory that another thread can read at any time. */
export class WorkerCounts {
  private readonly counts: BigInt64Array;

  /** @param memory shared with another thread; default: new. */
  constructor(readonly memory = new SharedArrayBuffer(COUNTED.length * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.counts = new BigInt64Array(memory);
  }

  add(name: (typeof COUNTED)[number], count = 1): void {
    Atomics.add(this.counts, COUNTED.indexOf(name), BigInt(count));
  }

  get stats(): WorkerStats {
    return Object.fromEntries(OF_ATTEMPTS.map((name) => [name, this.read(name)])) as WorkerStats;
  }

  /** How many attempts have not ended. */
  get running(): number {
    const { claimed, ...ended } = this.stats;
    return Object.values(ended).reduce((left, count) => left - count, claimed);
  }

  get turns(): number {
    return this.read("turns");
  }

  private read(name: (typeof COUNTED)[number]): number {
    return Number(Atomics.load(this.counts, COUNTED.indexOf(name)));
  }
}
