import { setTimeout as sleep } from "node:timers/promises";
import type { Finding } from "./finding.ts";
import { openQuery } from "./log.ts";

/** How many jobs are completed a second. */
export interface Throughput {
  /** Before the first fault. */
  before: number;
  /**
   * Waits from now, the end of a fault, until as many jobs were completed in a window as before the first fault, and none
   * waits that was due a while ago.
   * @returns how long that took beyond the window itself, in ms; null: it did not come about.
   */
  recovery(): Promise<number | null>;
}

export interface Recovery {
  fault: string;
  ms: number | null;
}

const SHARE = 0.95;
const POLL_MS = 250;
const OVERDUE_MS = 2_000;
const BOUND_MS = 60_000;

/** Measures what was completed in the last `windowMs`, and follows it from then on. */
export async function openThroughput(url: string, windowMs: number): Promise<Throughput> {
  // A connection for each question: PostgreSQL is among what is broken.
  const measure = async (): Promise<{ rate: number; overdue: number }> => {
    const query = await openQuery(url);
    const [row] = await query.rows<{ completed: number; overdue: number }>(
      `select
         (select count(*)::int from job_events where status = 'completed'
            and occurred_at > clock_timestamp() - ${windowMs} * interval '1 ms') as completed,
         (select count(*)::int from jobs where status = 'queued'
            and run_at < clock_timestamp() - ${OVERDUE_MS} * interval '1 ms') as overdue`,
    );
    await query.end();
    return { rate: ((row?.completed ?? 0) * 1000) / windowMs, overdue: row?.overdue ?? 0 };
  };
  const { rate: before } = await measure();
  return {
    before,
    async recovery() {
      const endedAt = Date.now();
      await sleep(windowMs);
      while (Date.now() < endedAt + windowMs + BOUND_MS) {
        const { rate, overdue } = await measure();
        if (rate >= SHARE * before && overdue === 0) return Math.max(Date.now() - endedAt - windowMs, 0);
        await sleep(POLL_MS);
      }
      return null;
    },
  };
}

/** Whether the throughput came back after each fault. */
export function recovered(recoveries: readonly Recovery[]): Finding {
  return {
    what: "throughput was back to 95 % after each fault",
    checked: recoveries.length,
    wrong: recoveries.filter(({ ms }) => ms === null).map(({ fault }) => `${fault}: not within ${BOUND_MS} ms`),
  };
}
