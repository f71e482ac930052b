import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { Logger } from "../log.js";
import { isAway } from "./away.js";

/** Which database it is, and as whom; never the password. */
interface Address {
  host: string;
  port: number;
  name: string | undefined;
  user: string | undefined;
}

export interface Patience {
  /** For how long a database that is away is waited for; default: not at all. */
  waitMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/** How long a service waits for its database when it starts, and a migration before it. */
export const START_WAIT_MS = 60_000;
/** No such login, database or password. */
const FOR_THE_OPERATOR = /^(28|3D)/;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 5_000;

/** The database cannot be used: it is away, does not exist, or does not let this login in. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(
    readonly address: Address,
    cause: unknown,
  ) {
    const { host, port, name, user } = address;
    super(`The database ${name} at ${host}:${port} cannot be used as ${user}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Repeats `connect` while the database is away, for `waitMs` at most; each failure is logged.
 * @throws UnreachableError, at once for what waiting does not mend, such as a wrong password
 */
export async function reach<T>(
  url: string,
  log: Logger,
  { waitMs = 0, signal }: Patience,
  connect: () => Promise<T>,
): Promise<T> {
  const endsAt = performance.now() + waitMs;
  for (let delayMs = RETRY_MIN_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
    try {
      return await connect();
    } catch (error) {
      const leftMs = endsAt - performance.now();
      const passes = isAway(error) && !FOR_THE_OPERATOR.test(codeOf(error));
      if (leftMs <= 0 || signal?.aborted === true || !passes) throw new UnreachableError(addressOf(url), error);
      log.warn({ database: addressOf(url), reason: reasonOf(error) }, "the database is away; it is waited for");
      await sleep(Math.min(delayMs, leftMs), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** As the driver reads it, with its defaults. */
function addressOf(url: string): Address {
  const { host, port, database, user } = new Client({ connectionString: url });
  return { host, port, name: database, user };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** A host with several addresses, none of which answers, gives an error without words of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
