import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { issueToken } from "../../dist/auth/issue-token.js";
import { Database } from "../../dist/database/database.js";
import { migrate } from "../../dist/database/migrate.js";
import { createLogger } from "../../dist/log.js";
import { TenantService } from "../../dist/services/tenant-service.js";
import { openDatabaseProxy } from "../support/database-proxy.ts";
import { createCluster } from "./cluster.ts";
import { FAULTS, type Scene } from "./faults.ts";
import { type Finding, findings, openQuery, settle } from "./findings.ts";
import { writeHandlers } from "./journal.ts";
import { type Member, startMember } from "./processes.ts";
import { type Producer, startProducer } from "./producer.ts";
import { startWatcher } from "./watcher.ts";

export interface ChaosOptions {
  /** How long faults are planted, in seconds; each comes once at least. The start and the end take about a minute more. */
  seconds: number;
  /** Decides which fault comes when, and what the producers do. */
  seed: number;
  /** Names of faults to leave out. */
  without?: readonly string[];
}

export interface ChaosReport {
  faults: Record<string, number>;
  jobs: number;
  events: number;
  resumed: number;
  /** Jobs completed a second: over the run's first quiet seconds, and over its last ones. */
  throughput: { before: number; after: number };
  findings: Finding[];
}

const TENANTS = 2;
const WATCHERS = 20;
const PRODUCERS = 4;
const QUIET_MS = 2_000;

/** Runs the service in many processes, breaks what can be broken, and says what was found. */
export async function runChaos({ seconds, seed, without = [] }: ChaosOptions): Promise<ChaosReport> {
  const random = generator(seed);
  const log = createLogger("silent");
  const cluster = await createCluster();
  const members: Member[] = [];
  const closing: (() => unknown)[] = [];
  const killAll = (): void => {
    for (const { pid, alive } of members) if (alive) process.kill(pid, "SIGKILL");
  };
  process.once("exit", killAll);
  try {
    const database = await Database.connect({ url: cluster.url, poolSize: 2, log });
    await migrate(database);
    const tenants = new TenantService(database);
    const secret = randomUUID();
    const people = await Promise.all(
      Array.from({ length: TENANTS }, async (_, n) => {
        const { id: tenantId } = await tenants.createTenant(`Chaos ${n}`, null);
        const { userId } = await tenants.addMember(tenantId, randomUUID(), "enterprise", "member");
        const rules = { key: { kind: "secret" as const, secret }, issuer: null, audience: null };
        return { tenantId, token: issueToken(rules, userId, 86_400) };
      }),
    );
    await database.close();

    const variables = {
      DATABASE_URL: cluster.url,
      DATA_DIR: cluster.folder,
      JWT_SECRET: secret,
      CREATE_LIMIT_PER_MINUTE: "0",
      HANDLERS: await writeHandlers(cluster.folder),
      LOG_LEVEL: "info",
    };
    const start = async (name: string, role: string): Promise<Member> => {
      const member = await startMember(name, cluster.folder, { ...variables, ROLE: role });
      members.push(member);
      return member;
    };
    const apis = await Promise.all(["api-1", "api-2"].map((name) => start(name, "api")));
    const workers = await Promise.all(["worker-1", "worker-2", "worker-3"].map((name) => start(name, "worker")));
    const proxies = await Promise.all(apis.map(({ url }) => openDatabaseProxy(url)));
    closing.push(...proxies.map((proxy) => () => proxy.close()));

    const scene: Scene = {
      cluster,
      apis,
      workers,
      proxies,
      random,
      watchers: await Promise.all(
        Array.from({ length: WATCHERS }, (_, n) => {
          const { tenantId, token } = people[n % TENANTS]!;
          return startWatcher(proxies[n % 2]!.url, tenantId, token, n % 5 === 4 ? "COMPLETED" : null);
        }),
      ),
      killed: [],
      frozen: new Set(),
      restarts: [],
    };
    closing.push(...scene.watchers.map((watcher) => () => watcher.stop()));
    const producers: Producer[] = Array.from({ length: PRODUCERS }, (_, n) => {
      const { tenantId, token } = people[n % TENANTS]!;
      return startProducer(
        apis.map(({ url }) => url),
        tenantId,
        token,
        random,
      );
    });

    const begun = Date.now();
    await sleep(QUIET_MS * 2);
    const faults = await plant(scene, begun + seconds * 1000, without);
    await sleep(QUIET_MS * 2);
    const ended = Date.now();
    await Promise.all(producers.map((producer) => producer.stop()));
    await settle(cluster.superuserUrl);
    for (const worker of workers) await worker.kill("SIGTERM");

    const found = await findings(scene, producers);
    const query = await openQuery(cluster.superuserUrl);
    const completed = async (from: number): Promise<number> => {
      const [row] = await query.rows<{ n: number }>(
        `select count(*)::int as n from job_events where status = 'completed'
         and occurred_at between to_timestamp(${from / 1000}) and to_timestamp(${(from + QUIET_MS) / 1000})`,
      );
      return ((row?.n ?? 0) * 1000) / QUIET_MS;
    };
    const [row] = await query.rows<{ n: number }>("select count(*)::int as n from job_events");
    const throughput = { before: await completed(begun + QUIET_MS), after: await completed(ended - QUIET_MS) };
    await query.end();
    return {
      faults,
      jobs: producers.reduce((sum, { accepted }) => sum + accepted.length, 0),
      events: row?.n ?? 0,
      resumed: scene.watchers.reduce((sum, watcher) => sum + watcher.resumed, 0),
      throughput,
      findings: found,
    };
  } finally {
    for (const close of closing) await close();
    for (const member of members) if (member.alive) await member.kill("SIGKILL");
    process.removeListener("exit", killAll);
    await cluster.remove();
  }
}

/** Each fault once in its order, then as the seed has it, with some quiet after each. */
async function plant(scene: Scene, endsAt: number, without: readonly string[]): Promise<Record<string, number>> {
  const names = Object.keys(FAULTS).filter((name) => !without.includes(name));
  const planted: Record<string, number> = {};
  for (let n = 0; n < names.length || Date.now() < endsAt; n += 1) {
    const name = names[n] ?? names[Math.floor(scene.random() * names.length)] ?? "";
    await FAULTS[name]?.(scene);
    planted[name] = (planted[name] ?? 0) + 1;
    await sleep(QUIET_MS);
  }
  return planted;
}

/** Mulberry32: 0 to 1, the same sequence for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
