// A file of its own, on a thread of its own: it runs as it stands, compiled or not, and imports nothing of ours.
import { parentPort, workerData } from "node:worker_threads";
import pg from "pg";

/** What the worker gives its beat. */
export interface BeatSetup {
  url: string;
  role: string;
  /** The statement, and its parameters. */
  beat: string;
  values: unknown[];
  signOff: string;
  beatMs: number;
}

/** A job that the database says this worker holds. */
export interface BeatenJob {
  id: string;
  attempt: number;
  cancel: boolean;
}

export type BeatMessage =
  { kind: "beat"; startedAt: bigint; held: BeatenJob[] } | { kind: "missed"; message: string } | { kind: "signedOff" };

export type BeatCommand = "now" | "signOff";

const CONNECT_TIMEOUT_MS = 3_000;

const { url, role, beat, values, signOff, beatMs } = workerData as BeatSetup;
let client: pg.Client | null = null;
let ended = false;
let running = false;
let again = false;

async function transact<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[]): Promise<Row[]> {
  if (client === null) {
    const fresh = new pg.Client({
      connectionString: url,
      application_name: "atlas-jobs beat",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: CONNECT_TIMEOUT_MS,
    });
    fresh.on("error", () => (client = null));
    await fresh.connect();
    client = fresh;
  }
  const open = client;
  try {
    await open.query("begin");
    await open.query("select set_config('role', $1, true)", [role]);
    const { rows } = await open.query<Row>(sql, parameters);
    await open.query("commit");
    return rows;
  } catch (error) {
    client = null;
    open.end().catch(() => undefined);
    throw error;
  }
}

async function tick(): Promise<void> {
  if (running) {
    again = true;
    return;
  }
  running = true;
  do {
    again = false;
    const startedAt = process.hrtime.bigint();
    try {
      post({ kind: "beat", startedAt, held: await transact<BeatenJob>(beat, values) });
    } catch (error) {
      post({ kind: "missed", message: error instanceof Error ? error.message : String(error) });
    }
  } while (again && !ended);
  running = false;
}

function post(message: BeatMessage): void {
  parentPort?.postMessage(message);
}

const timer = setInterval(() => void tick(), beatMs);
parentPort?.on("message", (command: BeatCommand) => {
  if (command === "now") {
    void tick();
    return;
  }
  ended = true;
  clearInterval(timer);
  transact(signOff, values.slice(0, 1))
    .catch(() => undefined)
    .then(() => client?.end())
    .finally(() => {
      post({ kind: "signedOff" });
      parentPort?.close();
    });
});
void tick();
