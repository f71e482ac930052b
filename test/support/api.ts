import { randomUUID } from "node:crypto";
import { createApi } from "../../src/api.js";
import { issueToken } from "../../src/auth/issue-token.js";
import type { TokenRules } from "../../src/auth/token-verifier.js";
import { type Config, loadConfig } from "../../src/config.js";
import type { Database } from "../../src/database/database.js";
import type { MemberRole, SeatType } from "../../src/words.js";
import { openHints } from "../../src/database/hints.js";
import { createMetrics } from "../../src/metrics.js";
import { createServer } from "../../src/server.js";
import { createSurfaces } from "../../src/surfaces.js";
import { createTenant, createTestDatabase, silent, type TestDatabase } from "./database.js";

/** A member of a tenant with a token of theirs. */
export interface TestMember {
  tenantId: string;
  userId: string;
  token: string;
  /** Headers that let them in. */
  headers: Record<string, string>;
}

/** An API as main.ts composes it, on a port and a database of its own. */
export type TestApi = Awaited<ReturnType<typeof startApi>>;

const RULES: TokenRules = { key: { kind: "secret", secret: randomUUID() }, issuer: null, audience: null };

export function tokenOf(userId: string, expiresInSeconds = 3600): string {
  return issueToken(RULES, userId, expiresInSeconds);
}

/** @param on the database to serve; by default one that is dropped when the API closes. */
export async function startApi(settings: Partial<Config> = {}, on?: TestDatabase, log = silent) {
  const own = on ?? (await createTestDatabase());
  const config: Config = { ...loadConfig({ CREATE_LIMIT_PER_MINUTE: "0" }), port: 0, ...settings };
  const { database, url } = own;
  const hints = openHints(config.notify ? url : null, silent);
  const api = await createApi({ config, database, hints, rules: RULES, log });
  const metrics = createMetrics(database);
  const surfaces = await createSurfaces({ ...api, config, log });
  const server = createServer({ config, log, database, metrics, surfaces });
  metrics.watchFeed(api);
  const { url: address, port } = await server.listen();
  return {
    url: address,
    port,
    wsUrl: `${address.replace("http", "ws")}/graphql`,
    own,
    database,
    hints,
    ...api,
    ...api.services,
    server,
    member: (options?: { seat?: SeatType; role?: MemberRole }) => createMember(database, options),
    async close() {
      server.failReadiness();
      await server.closeSockets();
      // Less than a server lingers for requests to come: these tests have sent their last.
      await server.close(100);
      await api.close();
      await hints.close();
      if (on === undefined) await own.drop();
    },
  };
}

async function createMember(database: Database, options?: { seat?: SeatType; role?: MemberRole }): Promise<TestMember> {
  const { tenantId, userId } = await createTenant(database, options);
  const token = tokenOf(userId);
  return { tenantId, userId, token, headers: headersFor(token, tenantId) };
}

export function headersFor(token: string, tenantId: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, "x-tenant-id": tenantId, "content-type": "application/json" };
}
