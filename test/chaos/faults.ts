import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseProxy } from "../support/database-proxy.ts";
import type { Cluster } from "../support/cluster.ts";
import { until } from "../support/until.ts";
import type { Failover } from "./failover.ts";
import type { Blindness } from "./judge-runs.ts";
import { openQuery } from "./log.ts";
import type { Member } from "./processes.ts";
import type { ChaosWatcher } from "./watcher.ts";

/** What there is to be broken, and what must be known of it at the end. */
export interface Scene {
  cluster: Cluster;
  apis: Member[];
  workers: Member[];
  proxies: DatabaseProxy[];
  watchers: ChaosWatcher[];
  random: () => number;
  /** Workers killed: who, and when (ms). */
  killed: { workerId: string; pid: number; at: number; monotonic: number }[];
  /** When whose jobs' attempts may have overlapped. */
  blind: Blindness[];
  failovers: Failover[];
  /** When PostgreSQL was restarted, or replaced (ms). */
  restarts: number[];
  /** How long it took to take a killed worker's jobs back (ms). */
  foundMs: number[];
}

const FREEZE_MS = 13_000;
const HOLDER_BOUND_MS = 20_000;
const one = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)] as T;

const LOST_FOR_MS = 1_500;
/** The service notes each second how far its log is complete; cursors from before that note never expire. */
const NOTED_WITHIN_MS = 2_000;

async function killWorker(scene: Scene): Promise<void> {
  const { workers, killed, random } = scene;
  // One that has something to lose.
  const worker = await until(async () => one(await holders(scene), random), {
    boundMs: HOLDER_BOUND_MS,
    what: "a worker with a long job",
  }).catch(() => one(workers, random));
  const { workerId, pid } = worker;
  const at = Date.now();
  await worker.kill("SIGKILL");
  killed.push({ workerId: workerId ?? "", pid, at, monotonic: monotonic() });
  await sleep(random() * 2_000);
  await worker.start();
}

/** The workers that hold a job which takes its time. */
async function holders({ cluster, workers }: Scene): Promise<Member[]> {
  const query = await openQuery(cluster.superuserUrl);
  const rows = await query.rows<{ worker_id: string }>(
    "select worker_id from jobs where status = 'running' and job_type in ('SLOW', 'STUBBORN') and started_at > now() - interval '300 ms'",
  );
  await query.end();
  return workers.filter(({ workerId }) => rows.some((row) => row.worker_id === workerId));
}

async function killApi({ apis, random }: Scene): Promise<void> {
  const api = one(apis, random);
  await api.kill("SIGKILL");
  await sleep(random() * 1_000);
  await api.start();
}

async function restart({ cluster, restarts }: Scene, how: "fast" | "crash"): Promise<void> {
  restarts.push(Date.now());
  await cluster.restart(how);
  restarts.push(Date.now());
}

async function cutSockets({ proxies, random }: Scene): Promise<void> {
  for (const proxy of proxies) proxy.set("away");
  await sleep(random() * 1_000);
  for (const proxy of proxies) proxy.set("there");
}

async function pauseReaders({ watchers }: Scene): Promise<void> {
  for (const watcher of watchers.filter((_, index) => index % 3 === 0)) watcher.paused = true;
  await sleep(2_000);
  for (const watcher of watchers) watcher.paused = false;
}

async function freezeWorker({ workers, blind, random }: Scene): Promise<void> {
  const { pid } = one(workers, random);
  const from = monotonic();
  process.kill(pid, "SIGSTOP");
  await sleep(FREEZE_MS);
  process.kill(pid, "SIGCONT");
  blind.push({ pid, from, to: monotonic() });
}

async function drainWorker({ workers, random }: Scene): Promise<void> {
  const worker = one(workers, random);
  const code = await worker.kill("SIGTERM");
  if (code !== 0) throw new Error(`a drained worker ended with ${code}`);
  await worker.start();
}

/** Its last second and a half of commits, and more, are lost with the primary. */
async function failOver({ cluster, failovers, restarts, blind, random }: Scene): Promise<void> {
  const standby = await cluster.addStandby();
  const query = await openQuery(cluster.superuserUrl);
  const [row] = await query.rows<{ position: string }>(WATERMARK);
  await query.end();
  await sleep(NOTED_WITHIN_MS);
  const safe = { safeAt: Date.now(), safePosition: BigInt(row?.position ?? 0) };
  const from = monotonic();
  await standby.catchUp();
  await standby.holdBack();
  await sleep(LOST_FOR_MS * (1 + random()));
  restarts.push(Date.now());
  await cluster.failOver();
  restarts.push(Date.now());
  failovers.push({ ...safe, endedAt: Date.now() });
  blind.push({ pid: null, from, to: monotonic() });
}

const WATERMARK = `
  select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + position_offset)::text as position from installation`;

/** µs of the machine's monotonic clock, as the handlers' journal has them. */
function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export const FAULTS: Record<string, (scene: Scene) => Promise<void>> = {
  "worker killed -9": killWorker,
  "API process killed -9": killApi,
  "sockets cut": cutSockets,
  "readers paused": pauseReaders,
  "PostgreSQL restarted": (scene) => restart(scene, "fast"),
  "worker drained": drainWorker,
  "PostgreSQL crashed": (scene) => restart(scene, "crash"),
  "worker frozen": freezeWorker,
  "standby promoted": failOver,
};
