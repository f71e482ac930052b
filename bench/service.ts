import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { Authenticator } from "../dist/auth/authenticator.js";
import { issueToken } from "../dist/auth/issue-token.js";
import { MembershipWatch } from "../dist/auth/membership-watch.js";
import { TokenVerifier } from "../dist/auth/token-verifier.js";
import { loadConfig } from "../dist/config.js";
import { Database } from "../dist/database/database.js";
import { openEmbeddedDatabase } from "../dist/database/embedded/embedded.js";
import { readInstance } from "../dist/database/embedded/instance.js";
import { openHints } from "../dist/database/hints.js";
import { readCursorKey } from "../dist/database/installation.js";
import { migrate } from "../dist/database/migrate.js";
import { Cursors } from "../dist/feed/cursors.js";
import { Feed } from "../dist/feed/feed.js";
import { Tail } from "../dist/feed/tail.js";
import { createGraphqlServer } from "../dist/graphql/graphql-server.js";
import { createLogger } from "../dist/log.js";
import { createMetrics } from "../dist/metrics.js";
import { createServer } from "../dist/server.js";
import { CreateLimit } from "../dist/services/create-limit.js";
import { EventService } from "../dist/services/event-service.js";
import { JobService } from "../dist/services/job-service.js";
import { TenantService } from "../dist/services/tenant-service.js";

/** The service as `main.ts` composes it, on an embedded PostgreSQL of its own, with one tenant and no limits. */
export async function openService() {
  const dataDir = await mkdtemp(join(tmpdir(), "atlas-bench-"));
  await chmod(dataDir, 0o755);
  const log = createLogger("error");
  const embedded = await openEmbeddedDatabase(dataDir, log);
  const database = await Database.connect({ url: embedded.url, poolSize: 10, log });
  await migrate(database);
  const config = { ...loadConfig({}), port: 0 };
  const hints = openHints(embedded.url, log);
  const tail = new Tail(database, hints, log);
  const cursors = new Cursors(await readCursorKey(database));
  const feed = new Feed(database, tail, cursors);
  const jobs = new JobService(database, hints, cursors, new CreateLimit(database, 0));
  const events = new EventService(database, feed, cursors);
  const rules = { key: { kind: "secret" as const, secret: randomUUID() }, issuer: null, audience: null };
  const authenticator = new Authenticator(new TokenVerifier(rules), database);
  const memberships = new MembershipWatch(authenticator, log);
  const api = { jobs, events, authenticator, memberships };
  const graphql = await createGraphqlServer({ ...api, config, log });
  const metrics = createMetrics(database);
  const server = createServer({ config, log, database, metrics, api: { ...api, graphql } });
  const { url } = await server.listen();

  const tenants = new TenantService(database);
  const { id: tenantId } = await tenants.createTenant("Bench", null);
  const { userId } = await tenants.addMember(tenantId, randomUUID(), "enterprise", "member");
  const token = issueToken(rules, userId, 86_400);
  return {
    url,
    databaseUrl: embedded.url,
    database,
    hints,
    jobs,
    events,
    log,
    token,
    viewer: await authenticator.authenticate({ authorization: `Bearer ${token}`, tenantIds: [tenantId] }),
    headers: { authorization: `Bearer ${token}`, "x-tenant-id": tenantId, "content-type": "application/json" },
    /** Runs one statement as the cluster's superuser. */
    async superuser(sql: string) {
      const instance = await readInstance(join(dataDir, "postgres"));
      const { pathname } = new URL(embedded.url);
      const connectionString = Object.assign(new URL(instance?.superuserUrl ?? ""), { pathname }).href;
      const client = new pg.Client({ connectionString });
      await client.connect();
      await client.query(sql);
      await client.end();
    },
    async close() {
      await graphql.close();
      await server.close(1_000);
      memberships.close();
      await tail.close();
      await hints.close();
      await database.close();
      await embedded.close();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    },
  };
}
