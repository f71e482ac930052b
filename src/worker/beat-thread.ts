// Runs on a thread of its own, compiled or as TypeScript, and so imports nothing of ours.
import { parentPort, workerData } from "node:worker_threads";
import pg from "pg";

/** What the worker gives its beat. */
export interface BeatSetup {
  url: string;
  /** What a transaction begins with. */
  begin: string;
  role: string;
  /** The statement, and its parameters. */
  beat: string;
  values: unknown[];
  /** The statement that ends the worker; its parameter is the first of `values`. */
  signOff: string;
  beatMs: number;
  /** A longer gap between two beats, in ms, begins a new row of unbroken beats. */
  silentMs: number;
  /**
   * Memory shared with the worker, whose event loop may be too busy to receive messages: `[0]` the start of the last
   * successful beat (`process.hrtime.bigint`), `[1]` the same and `[2]` the start of the unbroken row of beats that it
   * belongs to (`Date.now`; 0: none). The latter two are the wall clock's, which unlike the other one goes on while
   * the machine sleeps, as the database's does.
   */
  times: BigInt64Array;
}

/** A job that the database says this worker holds. */
export interface BeatenJob {
  tenantId: string;
  id: string;
  attempt: number;
  /** Its cancellation was asked for. */
  cancel: boolean;
}

export type BeatMessage = { kind: "beat"; startedAt: bigint; held: BeatenJob[] } | { kind: "missed"; message: string };

export type BeatCommand = "now" | "signOff";

// Short enough for a second try within the 8 s after which the worker gives its jobs up.
const ANSWER_TIMEOUT_MS = 3_000;
const RETRY_MIN_MS = 100;
/** The server ends the transaction of a process that is frozen here: an open one delays the feeds of all tenants. */
const IDLE_TIMEOUT_MS = 10_000;

const { url, begin, role, beat, values, signOff, beatMs, silentMs, times } = workerData as BeatSetup;
let client: pg.Client | null = null;
let asked = false;
let ended = false;
let wake = (): void => undefined;

parentPort?.on("message", (command: BeatCommand) => {
  asked = true;
  ended ||= command === "signOff";
  wake();
});
await live();

async function live(): Promise<void> {
  await beatUntilEnded();
  await transact(signOff, values.slice(0, 1)).catch(() => undefined);
  await client?.end().catch(() => undefined);
  parentPort?.close();
}

async function beatUntilEnded(): Promise<void> {
  for (let failures = 0; !ended;) {
    asked = false;
    const startedAt = process.hrtime.bigint();
    const startedOn = BigInt(Date.now());
    try {
      const held = await transact<BeatenJob>(beat, values);
      record(startedAt, startedOn);
      failures = 0;
      post({ kind: "beat", startedAt, held });
    } catch (error) {
      Atomics.store(times, 2, 0n);
      failures += 1;
      post({ kind: "missed", message: error instanceof Error ? error.message : String(error) });
    }
    await pause(failures === 0 ? beatMs : Math.min(RETRY_MIN_MS * 2 ** failures, beatMs));
  }
}

function record(startedAt: bigint, startedOn: bigint): void {
  const gap = startedOn - Atomics.load(times, 1);
  const unbroken = Atomics.load(times, 2) !== 0n && gap >= 0n && gap <= BigInt(silentMs);
  Atomics.store(times, 0, startedAt);
  Atomics.store(times, 1, startedOn);
  if (!unbroken) Atomics.store(times, 2, startedOn);
}

async function pause(delayMs: number): Promise<void> {
  if (asked) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function transact<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[]): Promise<Row[]> {
  const open = client ?? (await connect());
  try {
    // Set for this transaction alone: a transaction pooler gives the connection to other clients, too.
    await open.query(
      `${begin}; set local role ${open.escapeIdentifier(role)};
       set local idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}`,
    );
    const { rows } = await open.query<Row>(sql, parameters);
    await open.query("commit");
    return rows;
  } catch (error) {
    forget(open);
    throw error;
  }
}

async function connect(): Promise<pg.Client> {
  const fresh = new pg.Client({
    connectionString: url,
    application_name: "atlas-jobs beat",
    connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
  });
  fresh.on("error", () => forget(fresh));
  try {
    await fresh.connect();
  } catch (error) {
    forget(fresh);
    throw error;
  }
  client = fresh;
  return fresh;
}

function forget(broken: pg.Client): void {
  if (client === broken) client = null;
  broken.end().catch(() => undefined);
}

function post(message: BeatMessage): void {
  parentPort?.postMessage(message);
}
