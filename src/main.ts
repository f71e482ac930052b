import { createApi } from "./api.js";
import { tokenRules } from "./auth/token-rules.js";
import { type Config, ConfigError, loadConfig } from "./config.js";
import { checkRowLevelSecurity } from "./database/check-row-level-security.js";
import { Database } from "./database/database.js";
import { openEmbeddedDatabase } from "./database/embedded/embedded.js";
import { openHints } from "./database/hints.js";
import { START_WAIT_MS, UnreachableError } from "./database/reach.js";
import { migrate } from "./database/migrate.js";
import { prepareDemo } from "./demo.js";
import { checkPort } from "./http/listen.js";
import { createLogger, type Logger } from "./log.js";
import { createMetrics } from "./metrics.js";
import { createServer } from "./server.js";
import { createSurfaces } from "./surfaces.js";
import { WorkerHost } from "./worker/worker-host.js";

const SAME_SIGNAL_MS = 1_000;

/**
 * The composition root: opens what the role needs, in order, and ends it in the opposite one.
 * @param signal ends the wait for a database that is away.
 */
async function start(config: Config, log: Logger, signal: AbortSignal): Promise<{ stop(): Promise<void> }> {
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.toReversed()) await one();
  };
  try {
    const serves = { api: config.role !== "worker", work: config.role !== "api" };
    // Before anything is opened: a port that is taken and a handler module that does not load stop the start.
    await checkPort(config);
    const worker = serves.work ? await WorkerHost.open(config, log) : null;
    if (worker !== null) opened.push(() => worker.drain());

    const embedded = config.databaseUrl === null ? await openEmbeddedDatabase(config.dataDir, log) : null;
    if (embedded !== null) opened.push(() => embedded.close());
    const url = embedded?.url ?? config.databaseUrl ?? "";
    const patience = { waitMs: START_WAIT_MS, signal };
    const database = await Database.connect({ url, poolSize: config.databasePoolSize, log, ...patience });
    opened.push(() => database.close());
    const migrated = await migrate(database);
    if (migrated.length > 0) log.info({ migrated }, "the database was migrated");
    const bypass = await checkRowLevelSecurity(database);
    if (bypass !== null && config.production) log.warn(bypass);
    await database.adopt();
    const hints = openHints(config.notify ? url : null, log);
    opened.push(() => hints.close());

    const rules = tokenRules(config);
    const metrics = createMetrics(database);
    const api = serves.api ? await createApi({ config, database, hints, rules, log }) : null;
    if (api !== null) opened.push(() => api.close());
    const surfaces = api === null ? [] : await createSurfaces({ ...api, config, log });
    const server = createServer({ config, log, database, metrics, surfaces });
    // Before the worker begins anything: a port that is taken stops the start.
    const listening = await server.listen();
    const workerId = await worker?.work(database, url);
    if (api !== null) metrics.watchFeed(api);
    if (worker !== null) metrics.watchWorker(worker);
    log.info({ url: listening.url, workerId }, "ready");
    if (embedded !== null && api !== null) {
      process.stdout.write(await prepareDemo({ ...api, database, rules, url: listening.url }));
    }

    return {
      async stop() {
        server.failReadiness();
        await server.closeSockets();
        await Promise.all([server.close(config.shutdownGraceMs), worker?.drain()]);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function main(): Promise<void> {
  requireNode();
  const config = loadConfig();
  const log = createLogger(config.logLevel, config.role);
  const die = (err: unknown): void => {
    if (err instanceof UnreachableError) log.fatal({ database: err.address }, err.message);
    else log.fatal({ err }, "cannot go on");
    process.exit(1);
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);

  const stopping = new AbortController();
  const service = start(config, log, stopping.signal);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, "shutting down; another signal ends at once");
    const begunAt = performance.now();
    for (const again of ["SIGTERM", "SIGINT"] as const) {
      process.removeAllListeners(again).on(again, () => {
        // npm passes a terminal's Ctrl-C on to a process that has had it already.
        if (performance.now() - begunAt > SAME_SIGNAL_MS) process.exit(1);
      });
    }
    stopping.abort();
    // One that comes while the service still starts waits for that, but not for a database: what has been opened is closed in order.
    service.then((started) => started.stop(), endOfWait).then(() => process.exit(0), die);
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  await service.catch((error: unknown) => {
    if (error instanceof ConfigError) throw error;
    if (!stopping.signal.aborted) die(error);
  });
}

/** A service that is told to stop while it waits for its database has nothing to close. */
function endOfWait(error: unknown): void {
  if (!(error instanceof UnreachableError)) throw error;
}

/** @throws {ConfigError} on a Node that is too old, which would fail somewhere, with words that tell nobody. */
function requireNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 17)) return;
  throw new ConfigError(
    `Cannot start on Node ${process.versions.node}: it must be 22.17 or newer. npm start brings its own.`,
  );
}

main().catch((error: unknown) => {
  // A person reads this one: what is wrong with the settings needs no stack.
  process.stderr.write(
    `${error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(1);
});
