import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import type { Setup } from "./hostile-clients.ts";
import { openService } from "./service.ts";

/*
 * Hostile queries on many connections, some refused and some the costliest that are allowed, and what they do to a member
 * of another tenant who asks for a page of jobs again and again. Clients run in threads beside the service's.
 */
const { values } = parseArgs({ options: { seconds: { type: "string" }, connections: { type: "string" } } });
const SECONDS = Number(values.seconds ?? 30);
const CONNECTIONS = Number(values.connections ?? 200);
const IDLE_SECONDS = 10;

async function inThread<T>(setup: Setup): Promise<T> {
  const thread = new Worker(new URL("./hostile-clients.ts", import.meta.url), { workerData: setup });
  const [result] = (await once(thread, "message")) as [T];
  await thread.terminate();
  return result;
}

async function measure(): Promise<void> {
  const service = await openService();
  const other = await service.newMember();
  for (const [{ "x-tenant-id": tenantId }, bytes] of [
    [service.headers, 1_000],
    [other.headers, 100_000],
  ] as const) {
    await service.database.transaction({ role: "worker", actor: "system" }, (tx) =>
      tx.query(
        `insert into jobs (tenant_id, job_type, input)
         select $1, 'A', jsonb_build_object('text', repeat('x', $2)) from generate_series(1, 2000)`,
        [tenantId, bytes],
      ),
    );
  }
  const { url, headers } = service;
  const member: Setup = { role: "member", url, headers, connections: 1, ms: IDLE_SECONDS * 1000 };
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  /** What is still in use once garbage is collected. */
  const heap = (): number => {
    collect();
    return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  };
  const at = (sorted: number[], share: number) => Number(sorted[Math.floor(share * (sorted.length - 1))]?.toFixed(1));
  const rows: object[] = [];
  const row = (when: string, sorted: number[]) =>
    rows.push({ when, requests: sorted.length, "p50 ms": at(sorted, 0.5), "p99 ms": at(sorted, 0.99), "heap MiB": heap() }); // prettier-ignore

  await inThread<number[]>({ ...member, ms: 3_000 });
  const idle = await inThread<number[]>(member);
  row("idle", idle);
  const ratios: string[] = [];
  for (const role of ["hostile", "hostile sockets"] as const) {
    const attackers: Setup = { role, url, headers: other.headers, connections: CONNECTIONS, ms: SECONDS * 1000 };
    const [answers, attacked] = await Promise.all([
      inThread<Record<string, number>>(attackers),
      inThread<number[]>({ ...member, ms: SECONDS * 1000 }),
    ]);
    row(`under ${CONNECTIONS} ${role}`, attacked);
    console.table(Object.entries(answers).map(([answer, times]) => ({ answer, times })));
    ratios.push(`p99 under ${role}: ${(at(attacked, 0.99) / at(idle, 0.99)).toFixed(1)} times that when idle`);
    await sleep(5_000);
    row("afterwards", await inThread<number[]>(member));
  }
  console.table(rows);
  for (const ratio of ratios) console.log(ratio);
  await service.close();
  process.exit(0);
}

await measure();
