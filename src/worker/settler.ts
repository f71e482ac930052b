import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import { AtlasError } from "../errors.js";
import { complete } from "../queue/complete.js";
import { fail, type Failure } from "../queue/fail.js";
import type { HeldJob, HeldStatement } from "../queue/held-job.js";
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
/** A lock was not to be had, or not in time: the database is there. */
const LOCKED_SQLSTATE = /^(40P01|55P03|57014)$/;

/**
 * Writes the ends of a worker's attempts, many in one transaction: what ends while a write is under way is written by the next
 * one. An end that comes alone is written at once. Ends that a group's transaction cannot write are written one by one beside the
 * groups, which do not wait for them: jobs that somebody has locked, those that the worker has lost, and all of a group in which
 * PostgreSQL refuses one. How many wait is bounded by the worker's slots, which are free only once their jobs' ends are written.
 */
export class Settler {
  private readonly together: Waiting[] = [];
  private readonly alone: Waiting[] = [];
  private readonly writing = { together: false, alone: false };

  constructor(private readonly options: SettlerOptions) {}

  /**
   * Writes one end.
   * @returns the status reached; null when the worker has lost the job, and nothing changed.
   * @throws what PostgreSQL or the way to it says of this end (`isRefusal`).
   */
  settle(held: HeldJob, settlement: Settlement): Promise<EndStatus | null> {
    const bytes = settlement.kind === "completed" ? Buffer.byteLength(JSON.stringify(settlement.output) ?? "") : 0;
    return new Promise((resolve, reject) => {
      this.together.push({ held, settlement, bytes, resolve, reject });
      void this.writeTogether();
    });
  }

  private async writeTogether(): Promise<void> {
    if (this.writing.together) return;
    this.writing.together = true;
    while (this.together.length > 0) {
      const group = this.nextGroup();
      try {
        const statuses = await this.write(group, "passing");
        for (const [index, one] of group.entries()) {
          const status = statuses[index] ?? null;
          if (status === null) this.alone.push(one);
          else one.resolve(status);
        }
      } catch (error) {
        if (isAway(error)) for (const { reject } of group) reject(error);
        else this.alone.push(...group);
      }
      void this.writeAlone();
    }
    this.writing.together = false;
  }

  private async writeAlone(): Promise<void> {
    if (this.writing.alone) return;
    this.writing.alone = true;
    for (let one = this.alone.shift(); one !== undefined; one = this.alone.shift()) {
      try {
        one.resolve((await this.write([one], "waiting"))[0] ?? null);
      } catch (error) {
        one.reject(error);
        if (isAway(error)) for (const { reject } of this.alone.splice(0)) reject(error);
      }
    }
    this.writing.alone = false;
  }

  private nextGroup(): Waiting[] {
    let bytes = 0;
    const end = this.together.findIndex((one, index) => {
      bytes += one.bytes;
      return index === GROUP.jobs || (index > 0 && bytes > GROUP.bytes);
    });
    return this.together.splice(0, end === -1 ? this.together.length : end);
  }

  /** One statement for each kind, in one transaction. @returns the statuses in the group's order. */
  private async write(group: readonly Waiting[], locked: keyof HeldStatement): Promise<(EndStatus | null)[]> {
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
      completed: (await complete(tx, completed, locked)).values(),
      failed: (await fail(tx, failed, locked)).values(),
      released: (await release(tx, released, locked)).values(),
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

/** Whether the database could not be reached, so that the next write would fail alike. */
function isAway(error: unknown): boolean {
  if (!(error instanceof AtlasError && error.code === "unavailable")) return false;
  const { code } = Object(error.cause) as { code?: unknown };
  return !LOCKED_SQLSTATE.test(String(code));
}
