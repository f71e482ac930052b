import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import { complete } from "../queue/complete.js";
import { fail, type Failure } from "../queue/fail.js";
import type { HeldJob } from "../queue/held-job.js";
import { release } from "../queue/release.js";
import type { JobStatus } from "../words.js";

/** How an attempt is to be written down. */
export type Settlement =
  | { kind: "completed"; output: unknown }
  | { kind: "failed"; failure: Failure }
  /** Handed back without a loss of attempts. */
  | { kind: "released" };

/** The statuses that an attempt can end in: `queued` for another one. */
export type EndStatus = Exclude<JobStatus, "running">;

export interface SettlerOptions {
  database: Database;
  hints: Hints;
  workerId: string;
}

interface Waiting {
  held: HeldJob;
  settlement: Settlement;
  /** Of the output as JSON. */
  bytes: number;
  resolve: (status: EndStatus | null) => void;
  reject: (error: unknown) => void;
}

/** What one transaction writes at most: a worker has at most 1,000 slots, and an output a megabyte. */
const GROUP = { jobs: 500, bytes: 8 * 1024 * 1024 };
// Data exceptions and exceeded limits: trying the same again cannot succeed.
const REFUSED_SQLSTATE = /^(22|54)/;

/**
 * Writes the ends of a worker's attempts, many in one transaction: what ends while a write is under way is written by the next
 * one. An end that comes alone is written at once. How many wait is bounded by the worker's slots, which are free only once their
 * jobs' ends are written.
 */
export class Settler {
  private readonly waiting: Waiting[] = [];
  private writing = false;

  constructor(private readonly options: SettlerOptions) {}

  /**
   * Writes one end.
   * @returns the status reached; null when the worker has lost the job, and nothing changed.
   * @throws what PostgreSQL or the way to it says. Where it refuses one end of a group (`isRefusal`), the others are written.
   */
  settle(held: HeldJob, settlement: Settlement): Promise<EndStatus | null> {
    const bytes = settlement.kind === "completed" ? (JSON.stringify(settlement.output) ?? "").length : 0;
    return new Promise((resolve, reject) => {
      this.waiting.push({ held, settlement, bytes, resolve, reject });
      if (!this.writing) void this.writeAll();
    });
  }

  private async writeAll(): Promise<void> {
    this.writing = true;
    while (this.waiting.length > 0) await this.write(this.nextGroup());
    this.writing = false;
  }

  private nextGroup(): Waiting[] {
    let bytes = 0;
    const end = this.waiting.findIndex(
      (one, index) => index === GROUP.jobs || (index > 0 && (bytes += one.bytes) > GROUP.bytes),
    );
    return this.waiting.splice(0, end === -1 ? this.waiting.length : end);
  }

  private async write(group: readonly Waiting[]): Promise<void> {
    try {
      const statuses = await this.writeTogether(group);
      for (const [index, { resolve }] of group.entries()) resolve(statuses[index] ?? null);
    } catch (error) {
      if (group.length > 1 && isRefusal(error)) for (const one of group) await this.write([one]);
      else for (const { reject } of group) reject(error);
    }
  }

  /** One statement for each kind, in one transaction. @returns the statuses in the group's order. */
  private async writeTogether(group: readonly Waiting[]): Promise<(EndStatus | null)[]> {
    const { database, hints, workerId } = this.options;
    const completed: (HeldJob & { output: unknown })[] = [];
    const failed: (HeldJob & Failure)[] = [];
    const released: HeldJob[] = [];
    for (const { held, settlement } of group) {
      if (settlement.kind === "completed") completed.push({ ...held, output: settlement.output });
      else if (settlement.kind === "failed") failed.push({ ...held, ...settlement.failure });
      else released.push(held);
    }
    const ended = await database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => ({
      completed: (await complete(tx, completed)).values(),
      failed: (await fail(tx, failed)).values(),
      released: (await release(tx, released)).values(),
    }));
    const statuses = group.map(({ settlement }) => (ended[settlement.kind].next().value ?? null) as EndStatus | null);
    if (statuses.some((status) => status !== null)) hints.send("events");
    // After a failure the next attempt is not due yet: nobody needs to be woken for it.
    if (group.some(({ settlement }, index) => settlement.kind === "released" && statuses[index] === "queued")) {
      hints.send("queued");
    }
    return statuses;
  }
}

/** Whether PostgreSQL cannot hold what it was given, which trying again does not change. */
export function isRefusal(error: unknown): error is Error {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && REFUSED_SQLSTATE.test(error.code)
  );
}
