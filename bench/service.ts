import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createApi } from "../dist/api.js";
import { issueToken } from "../dist/auth/issue-token.js";
import { loadConfig } from "../dist/config.js";
import { Database } from "../dist/database/database.js";
import { openEmbeddedDatabase } from "../dist/database/embedded/embedded.js";
import { readInstance } from "../dist/database/embedded/instance.js";
import { openHints } from "../dist/database/hints.js";
import { migrate } from "../dist/database/migrate.js";
import { createLogger } from "../dist/log.js";
import { createMetrics } from "../dist/metrics.js";
import { createServer } from "../dist/server.js";
import { createSurfaces } from "../dist/surfaces.js";
import { TenantService } from "../dist/services/tenant-service.js";

/** An empty database to serve. */
export interface BenchDatabase {
  url: string;
  /** On that database. */
  superuserUrl: string;
  close(): Promise<void>;
}

const log = createLogger("silent");

/** An embedded PostgreSQL of its own. */
async function openEmbedded(): Promise<BenchDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), "atlas-bench-"));
  await chmod(dataDir, 0o755);
  const { url, close } = await openEmbeddedDatabase(dataDir, log);
  const { pathname } = new URL(url);
  const instance = await readInstance(join(dataDir, "postgres"));
  return {
    url,
    superuserUrl: Object.assign(new URL(instance?.superuserUrl ?? ""), { pathname }).href,
    async close() {
      await close();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    },
  };
}

/** The service as `main.ts` composes it, with one tenant and no limits; on an embedded PostgreSQL of its own, unless it is given another one. */
export async function openService(given: BenchDatabase | null = null) {
  const opened = given ?? (await openEmbedded());
  const database = await Database.connect({ url: opened.url, poolSize: 10, log });
  await migrate(database);
  const config = { ...loadConfig({ CREATE_LIMIT_PER_MINUTE: "0" }), port: 0 };
  const hints = openHints(opened.url, log);
  const rules = { key: { kind: "secret" as const, secret: randomUUID() }, issuer: null, audience: null };
  const api = await createApi({ config, database, hints, rules, log });
  const metrics = createMetrics(database);
  const surfaces = await createSurfaces({ ...api, config, log });
  const server = createServer({ config, log, database, metrics, surfaces });
  const { url } = await server.listen();

  const tenants = new TenantService(database);
  /** A member of a tenant of their own. */
  const newMember = async () => {
    const { id: tenantId } = await tenants.createTenant("Bench", null);
    const { userId } = await tenants.addMember(tenantId, randomUUID(), "enterprise", "member");
    const token = issueToken(rules, userId, 86_400);
    const headers = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId, "content-type": "application/json" };
    return { tenantId, token, headers };
  };
  const { tenantId, token, headers } = await newMember();
  return {
    url,
    databaseUrl: opened.url,
    database,
    hints,
    jobCommands: api.services.jobCommands,
    events: api.services.events,
    log,
    token,
    viewer: await api.authenticator.authenticate({ authorization: `Bearer ${token}`, tenantIds: [tenantId] }),
    headers,
    newMember,
    /** Runs one statement as the cluster's superuser. */
    async superuser(sql: string) {
      const client = new pg.Client({ connectionString: opened.superuserUrl });
      await client.connect();
      await client.query(sql);
      await client.end();
    },
    async close() {
      await server.closeSockets();
      await server.close(1_000);
      await api.close();
      await hints.close();
      await database.close();
      await opened.close();
    },
  };
}
