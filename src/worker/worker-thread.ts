// The worker's part of the process, on a thread of its own: a handler that blocks its event loop does not block the API's.
import { parentPort, workerData } from "node:worker_threads";
import { type Config, ConfigError } from "../config.js";
import { Database } from "../database/database.js";
import { START_WAIT_MS } from "../database/reach.js";
import { openHints } from "../database/hints.js";
import { type CreatedHandlers, createHandlers } from "../handlers/create-handlers.js";
import { createLogger } from "../log.js";
import { startWorker } from "./worker.js";
import { WorkerCounts } from "./worker-counts.js";

/** What the process gives its worker's thread. */
export interface WorkerSetup {
  config: Config;
  counts: SharedArrayBuffer;
}

/** `work` comes once, when the handlers are loaded; `drain` ends the thread. */
export type WorkerCommand = { kind: "work"; databaseUrl: string } | { kind: "drain" };

export type WorkerReport =
  /** Its handlers are loaded. */
  | { kind: "loaded" }
  /** Its settings or handlers cannot be used, and it has ended. */
  | { kind: "refused"; problem: string }
  | { kind: "working"; workerId: string };

/** How often the event loop shows that it turns. */
export const TURN_MS = 250;

const { config, counts: memory } = workerData as WorkerSetup;
const counts = new WorkerCounts(memory);
const log = createLogger(config.logLevel, config.role);
const commands = Promise.withResolvers<string>();
const drained = Promise.withResolvers<void>();

parentPort?.on("message", (command: WorkerCommand) => {
  if (command.kind === "work") commands.resolve(command.databaseUrl);
  else drained.resolve();
});

try {
  await live(await createHandlers(config, log));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  report({ kind: "refused", problem: error.message });
}
// Handlers that are no longer waited for would keep the thread running.
process.exit(0);

async function live(created: CreatedHandlers): Promise<void> {
  report({ kind: "loaded" });
  const databaseUrl = await Promise.race([commands.promise, drained.promise]);
  if (databaseUrl !== undefined) {
    const database = await Database.connect({
      url: databaseUrl,
      poolSize: config.databasePoolSize,
      log,
      waitMs: START_WAIT_MS,
    });
    const hints = openHints(config.notify ? databaseUrl : null, log);
    const worker = startWorker({
      database,
      databaseUrl,
      hints,
      handlers: created.handlers,
      log,
      counts,
      concurrency: config.workerConcurrency,
      tenantShare: config.workerTenantShare,
      jobTimeoutMs: config.jobTimeoutMs,
      shutdownGraceMs: config.shutdownGraceMs,
      retentionDays: config.retentionDays,
    });
    setInterval(() => counts.add("turns"), TURN_MS);
    report({ kind: "working", workerId: worker.id });
    await drained.promise;
    await worker.drain();
    await hints.close();
    await database.close();
  }
  await created.close();
}

function report(message: WorkerReport): void {
  parentPort?.postMessage(message);
}
