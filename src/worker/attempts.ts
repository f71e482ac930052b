import type { Attempt } from "./attempt.js";
import type { BeatenJob } from "./beat-thread.js";
import { StopReason } from "./stop-reason.js";

/** The attempts in a worker's hands. */
export class Attempts {
  private readonly open = new Map<string, { attempt: Attempt; ended: Promise<void> }>();

  get count(): number {
    return this.open.size;
  }

  /** How many of each tenant there are; a tenant that is missing has none. */
  countByTenant(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { attempt } of this.open.values()) {
      const { tenantId } = attempt.job;
      counts[tenantId] = (counts[tenantId] ?? 0) + 1;
    }
    return counts;
  }

  /** Keeps an attempt until `settled` resolves, and resolves when it is gone. */
  async add(attempt: Attempt, settled: Promise<void>): Promise<void> {
    const key = keyOf(attempt.job);
    const ended = settled.finally(() => this.open.delete(key));
    this.open.set(key, { attempt, ended });
    await ended;
  }

  /**
   * Compares the attempts here with those that by the database this worker holds, and fires the signals of those that are to be
   * canceled or that the worker has lost.
   * @param askedAt `process.hrtime.bigint()` before the database was asked: attempts claimed later are not in its answer.
   * @returns the jobs that by the database this worker holds, but that are not here.
   */
  reconcile(held: readonly BeatenJob[], askedAt: bigint): BeatenJob[] {
    const ours = new Map(held.map((job) => [keyOf(job), job]));
    for (const [key, { attempt }] of this.open) {
      const job = ours.get(key);
      if (job?.cancel === true) attempt.stop(new StopReason("canceled", "The job was canceled"));
      if (job === undefined && attempt.claimedAt < askedAt) attempt.lose();
    }
    return held.filter((job) => !this.open.has(keyOf(job)));
  }

  stopAll(reason: StopReason): void {
    for (const { attempt } of this.open.values()) attempt.stop(reason);
  }

  /** Resolves when each attempt that is here now has ended. */
  async allEnded(): Promise<void> {
    await Promise.all([...this.open.values()].map(({ ended }) => ended));
  }
}

/** By id and attempt: an earlier attempt of the same job may still be ending here. */
function keyOf({ id, attempt }: { id: string; attempt: number }): string {
  return `${id}:${attempt}`;
}
