import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabaseProxy } from "../support/database-proxy.ts";
import { type Cluster, createCluster } from "../support/cluster.ts";
import { FAULTS, type Scene } from "./faults.ts";
import type { Finding } from "./finding.ts";
import { findings, settle } from "./findings.ts";
import { writeHandlers } from "./journal.ts";
import { openQuery } from "./log.ts";
import { preparePeople } from "./people.ts";
import { createMember, type Member } from "./processes.ts";
import { startProducer } from "./producer.ts";
import { openThroughput, type Recovery, recovered, type Throughput } from "./throughput.ts";
import { startWatcher } from "./watcher.ts";

export interface ChaosOptions {
  /** How long faults are planted, in seconds; each comes once at least. The start and the end take about a minute more. */
  seconds: number;
  /** Decides which fault comes when, and what the producers do. */
  seed: number;
  /** Names of faults to leave out. */
  without?: readonly string[];
  /** Over what time throughput is measured, before the faults and after each. */
  windowMs?: number;
  /** Ends the run before its time; everything is cleaned up. */
  signal?: AbortSignal;
}

export interface ChaosReport {
  faults: Record<string, number>;
  jobs: number;
  events: number;
  /** Connections that watchers have resumed after. */
  resumed: number;
  /** Cursors that had expired, after which watchers have listed again. */
  expired: number;
  /** How long it took to take each killed worker's jobs back, in ms. */
  foundMs: number[];
  /** Jobs completed a second before the first fault. */
  throughput: number;
  /** How long after each fault's end the throughput was back, in ms. */
  recoveredMs: number[];
  findings: Finding[];
}

const TENANTS = 2;
const PRODUCERS = 4;
const EARLY_WATCHERS = 16;
const LATE_WATCHERS = 4;
/** Clients wait up to 5 s before they ask again. */
const WARM_UP_MS = 8_000;

/** Runs the service in many processes, breaks what can be broken, and says what was found. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const cluster = await createCluster();
  const members: Member[] = [];
  const closing: (() => unknown)[] = [];
  // Also when this process ends without a farewell.
  const killAll = (): void => {
    for (const member of members) void member.kill("SIGKILL").catch(() => undefined);
  };
  process.once("exit", killAll);
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => undefined);
  options.signal?.addEventListener("abort", () => stopped.reject(new Error("stopped")));
  try {
    return await Promise.race([stopped.promise, perform(options, cluster, members, closing)]);
  } finally {
    for (const close of closing) await close();
    await Promise.all(members.map((member) => member.kill("SIGKILL")));
    process.removeListener("exit", killAll);
    await cluster.remove();
  }
}

async function perform(
  { seconds, seed, without = [], windowMs = 10_000 }: ChaosOptions,
  cluster: Cluster,
  members: Member[],
  closing: (() => unknown)[],
): Promise<ChaosReport> {
  const random = generator(seed);
  const secret = randomUUID();
  const { people, cursors } = await preparePeople(cluster.url, secret, { tenants: TENANTS, people: PRODUCERS });
  const variables = {
    DATABASE_URL: cluster.url,
    DATA_DIR: cluster.folder,
    JWT_SECRET: secret,
    CREATE_LIMIT_PER_MINUTE: "0",
    HANDLERS: await writeHandlers(cluster.folder),
  };
  const apis = ["api-1", "api-2"].map((name) => createMember(name, { ...variables, ROLE: "api" }));
  const workers = ["worker-1", "worker-2", "worker-3"].map((name) => createMember(name, { ...variables, ROLE: "worker" })); // prettier-ignore
  members.push(...apis, ...workers);
  await Promise.all(members.map((member) => member.start()));
  const proxies = await Promise.all(apis.map(({ url }) => openDatabaseProxy(url)));
  closing.push(...proxies.map((proxy) => () => proxy.close()));

  const scene: Scene = {
    cluster,
    apis,
    workers,
    proxies,
    random,
    watchers: [],
    killed: [],
    blind: [],
    failovers: [],
    restarts: [],
    foundMs: [],
  };
  const watch = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const { tenantId, token } = people[n % people.length]!;
      const watcher = await startWatcher({
        url: proxies[n % 2]!.url,
        tenantId,
        token,
        status: n % 5 === 3 ? "COMPLETED" : null,
        keepsRows: n % 5 === 0,
        cursors,
      });
      scene.watchers.push(watcher);
      closing.push(() => watcher.stop());
    }
  };
  await watch(EARLY_WATCHERS);
  const urls = apis.map(({ url }) => url);
  const producers = people.map((person) => startProducer({ ...person, urls, random }));

  await sleep(WARM_UP_MS + windowMs);
  const throughput = await openThroughput(cluster.superuserUrl, windowMs);
  // What has happened so far is behind their cursors, and jobs are on their way.
  await watch(LATE_WATCHERS);
  const { faults, recoveries } = await plant(scene, { endsAt: Date.now() + seconds * 1000, without }, throughput);
  await Promise.all(producers.map((producer) => producer.stop()));
  await settle(cluster.superuserUrl);
  for (const worker of workers) await worker.kill("SIGTERM");

  const found = await findings(scene, producers);
  const query = await openQuery(cluster.superuserUrl);
  const [row] = await query.rows<{ n: number }>("select count(*)::int as n from job_events");
  await query.end();
  return {
    faults,
    jobs: producers.reduce((sum, { accepted }) => sum + accepted.length, 0),
    events: row?.n ?? 0,
    resumed: scene.watchers.reduce((sum, watcher) => sum + watcher.resumed, 0),
    expired: scene.watchers.flatMap(({ legs }) => legs).filter(({ expired }) => expired).length,
    foundMs: scene.foundMs,
    throughput: throughput.before,
    recoveredMs: recoveries.flatMap(({ ms }) => ms ?? []),
    findings: [...found, recovered(recoveries)],
  };
}

/** Each fault once in its order, then as the seed has it; the next one comes when the throughput is back. */
async function plant(
  scene: Scene,
  { endsAt, without }: { endsAt: number; without: readonly string[] },
  throughput: Throughput,
): Promise<{ faults: Record<string, number>; recoveries: Recovery[] }> {
  const names = Object.keys(FAULTS).filter((name) => !without.includes(name));
  const faults: Record<string, number> = {};
  const recoveries: Recovery[] = [];
  for (let n = 0; n < names.length || Date.now() < endsAt; n += 1) {
    const fault = names[n] ?? names[Math.floor(scene.random() * names.length)] ?? "";
    await FAULTS[fault]?.(scene);
    faults[fault] = (faults[fault] ?? 0) + 1;
    recoveries.push({ fault, ms: await throughput.recovery() });
  }
  return { faults, recoveries };
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
