import { randomUUID } from "node:crypto";
import { Authenticator } from "../../src/auth/authenticator.js";
import { issueToken } from "../../src/auth/issue-token.js";
import { MembershipWatch } from "../../src/auth/membership-watch.js";
import { type TokenRules, TokenVerifier } from "../../src/auth/token-verifier.js";
import { type Config, loadConfig } from "../../src/config.js";
import type { Database } from "../../src/database/database.js";
import type { MemberRole, SeatType } from "../../src/database/entities/tenant-member.entity.js";
import { openHints } from "../../src/database/hints.js";
import { readCursorKey } from "../../src/database/installation.js";
import { Cursors } from "../../src/feed/cursors.js";
import { Feed } from "../../src/feed/feed.js";
import { Tail } from "../../src/feed/tail.js";
import { createGraphqlServer } from "../../src/graphql/graphql-server.js";
import { createMetrics } from "../../src/metrics.js";
import { createServer } from "../../src/server.js";
import { CreateLimit } from "../../src/services/create-limit.js";
import { EventService } from "../../src/services/event-service.js";
import { JobService } from "../../src/services/job-service.js";
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
export async function startApi(settings: Partial<Config> = {}, on?: TestDatabase) {
  const own = on ?? (await createTestDatabase());
  const config: Config = { ...loadConfig({ CREATE_LIMIT_PER_MINUTE: "0" }), port: 0, ...settings };
  const { database, url } = own;
  const hints = openHints(config.notify ? url : null, silent);
  const tail = new Tail(database, hints, silent);
  const cursors = new Cursors(await readCursorKey(database));
  const limit = new CreateLimit(database, config.createLimitPerMinute);
  const jobs = new JobService(database, hints, cursors, limit);
  const events = new EventService(database, new Feed(database, tail, cursors), cursors);
  const authenticator = new Authenticator(new TokenVerifier(RULES), database);
  const memberships = new MembershipWatch(authenticator, silent);
  const services = { jobs, events, authenticator, memberships };
  const graphql = await createGraphqlServer({ ...services, config, log: silent });
  const metrics = createMetrics(database);
  const server = createServer({ config, log: silent, database, metrics, api: { ...services, graphql } });
  const { url: address, port } = await server.listen();
  return {
    url: address,
    port,
    wsUrl: `${address.replace("http", "ws")}/graphql`,
    own,
    database,
    hints,
    jobs,
    events,
    tail,
    server,
    member: (options?: { seat?: SeatType; role?: MemberRole }) => createMember(database, options),
    async close() {
      server.failReadiness();
      await graphql.close();
      await server.close(1_000);
      memberships.close();
      await tail.close();
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
