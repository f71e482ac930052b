import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EmbeddedDatabase } from "../../src/database/embedded/embedded.js";
import { readInstance } from "../../dist/database/embedded/instance.js";

const STOP_BOUND_MS = 15_000;

/** Stops the run's PostgreSQL and removes its folder. */
export default async function globalTeardown(): Promise<void> {
  const { atlasTestServer: server } = globalThis as {
    atlasTestServer?: { embedded: EmbeddedDatabase; dataDir: string };
  };
  if (server === undefined) return;
  const { embedded, dataDir } = server;
  await embedded.close();
  for (const end = Date.now() + STOP_BOUND_MS; Date.now() < end; await sleep(50)) {
    if ((await readInstance(join(dataDir, "postgres")))?.watchdog === null) break;
  }
  await rm(dataDir, { recursive: true, force: true });
}
