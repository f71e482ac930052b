import { randomUUID } from "node:crypto";
import { createApi } from "../../src/api.js";
import { issueToken } from "../../src/auth/issue-token.js";
import type { TokenRules } from "../../src/auth/token-verifier.js";
import { type Config, loadConfig } from "../../src/config.js";
import type { Database } from "../../src/database/database.js";
import { openHints } from "../../src/database/hints.js";
import { createMetrics } from "../../src/metrics.js";
import { createServer } from "../../src/server.js";
import { createSurfaces } from "../../src/surfaces.js";
import { createTenant, createTestDatabase, type MemberOptions, silent, type TestDatabase } from "./database.js";
import { atEnd, type Span, useFixture } from "./use.js";

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

/**
 * Starts an API, which closes at the end of the test or block if nobody has closed it before.
 * @param on the database to serve; by default one of its own.
 */
export async function startApi(settings: Partial<Config> = {}, on?: TestDatabase, log = silent) {
  const own = on ?? (await createTestDatabase());
  // All that has opened closes again, also where the rest does not open.
  const opened = new AsyncDisposableStack();
  atEnd(() => opened.disposeAsync());
  const config: Config = { ...loadConfig({ CREATE_LIMIT_PER_MINUTE: "0" }), port: 0, ...settings };
  const { database, url } = own;
  const hints = opened.adopt(openHints(config.notify ? url : null, silent), (one) => one.close());
  const api = opened.adopt(await createApi({ config, database, hints, rules: RULES, log }), (one) => one.close());
  const metrics = createMetrics(database);
  const surfaces = await createSurfaces({ ...api, config, log });
  const server = createServer({ config, log, database, metrics, surfaces });
  metrics.watchFeed(api);
  opened.defer(async () => {
    server.failReadiness();
    await server.closeSockets();
    // Less than a server lingers for requests to come: these tests have sent their last.
    await server.close(100);
  });
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
    member: (options?: MemberOptions) => createMember(database, options),
    close: () => opened.disposeAsync(),
  };
}

/** An API for the tests beside the call, as `startApi` starts it. */
export function useApi(
  settings: Partial<Config> = {},
  { on, log, per }: Span & { on?: TestDatabase; log?: typeof silent } = {},
): TestApi {
  return useFixture(() => startApi(settings, on, log), { per });
}

/** A new tenant's member for the tests beside the call. */
export function useMember(api: Pick<TestApi, "member">, { per, ...options }: Span & MemberOptions = {}): TestMember {
  return useFixture(() => api.member(options), { per });
}

async function createMember(database: Database, options?: MemberOptions): Promise<TestMember> {
  const { tenantId, userId } = await createTenant(database, options);
  const token = tokenOf(userId);
  return { tenantId, userId, token, headers: headersFor(token, tenantId) };
}

export function headersFor(token: string, tenantId: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, "x-tenant-id": tenantId, "content-type": "application/json" };
}
