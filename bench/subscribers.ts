import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { WebSocket } from "ws";
import { openService } from "./service.ts";

/*
 * Subscribers on sockets of their own, read in a thread beside the service's, and how long a status change takes to reach
 * them: first all reading, then with one among them that has stopped reading altogether.
 */
const { values } = parseArgs({ options: { subscribers: { type: "string" } } });
const SUBSCRIBERS = Number(values.subscribers ?? 2_000);
const CHANGES = 30;
const CHANGE_MS = 400;
/** More than the sockets' buffers and a subscriber's queue hold. */
const FLOOD = 20_000;

interface Setup {
  url: string;
  authorization: string;
  tenantId: string;
}

const SUBSCRIBE = (filter: string) =>
  JSON.stringify({
    id: "1",
    type: "subscribe",
    payload: { query: `subscription { jobStatusChanged(filter: {jobType: ["${filter}"]}) { jobId occurredAt } }` },
  });

async function connect({ url, authorization, tenantId }: Setup, filter: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "connection_init", payload: { authorization, "x-tenant-id": tenantId } }));
  await once(socket, "message");
  socket.send(SUBSCRIBE(filter));
  return socket;
}

async function subscribe(setup: Setup): Promise<void> {
  let latencies: number[] = [];
  for (let n = 0; n < SUBSCRIBERS; n += 1) {
    const socket = await connect(setup, "MEASURED");
    socket.on("message", (data: Buffer) => {
      const { type, payload } = JSON.parse(data.toString()) as {
        type: string;
        payload?: { data: { jobStatusChanged: { occurredAt: string } } };
      };
      if (type === "ping") socket.send(JSON.stringify({ type: "pong" }));
      if (type === "next" && payload !== undefined) {
        latencies.push(Date.now() - Date.parse(payload.data.jobStatusChanged.occurredAt));
      }
    });
  }
  parentPort?.on("message", () => {
    parentPort?.postMessage(latencies);
    latencies = [];
  });
  parentPort?.postMessage("ready");
}

async function measure(): Promise<void> {
  const service = await openService();
  const { authorization, "x-tenant-id": tenantId } = service.headers;
  const setup: Setup = { url: service.url, authorization, tenantId };
  const readers = new Worker(new URL(import.meta.url), { workerData: setup });
  await once(readers, "message");
  const create = (jobType: string, count: number) =>
    service.database.transaction({ role: "worker", actor: "system" }, (tx) =>
      tx.query("insert into jobs (tenant_id, job_type) select $1, $2 from generate_series(1, $3::int)", [
        tenantId,
        jobType,
        count,
      ]),
    );
  const latencies = async (): Promise<number[]> => {
    for (let n = 0; n < CHANGES; n += 1) {
      await create("MEASURED", 1);
      service.hints.send("events");
      await sleep(CHANGE_MS);
    }
    readers.postMessage("give");
    return ((await once(readers, "message")) as [number[]])[0].toSorted((a, b) => a - b);
  };
  const at = (sorted: number[], share: number) => sorted[Math.floor(share * (sorted.length - 1))];
  const memory = () => Math.round(process.memoryUsage().rss / 2 ** 20);
  const row = (what: string, sorted: number[]) => ({
    what,
    delivered: sorted.length,
    expected: SUBSCRIBERS * CHANGES,
    "p50 ms": at(sorted, 0.5),
    "p99 ms": at(sorted, 0.99),
    "memory MiB": memory(),
  });
  await sleep(1_000);
  await latencies();
  const rows = [row("all read", await latencies())];
  const deaf = await connect(setup, "FLOOD");
  deaf.pause();
  for (let made = 0; made < FLOOD; made += 1_000) await create("FLOOD", 1_000);
  service.hints.send("events");
  await sleep(3_000);
  rows.push(row("one has stopped reading", await latencies()));
  console.table(rows);
  deaf.terminate();
  await readers.terminate();
  await service.close();
  process.exit(0);
}

await (isMainThread ? measure() : subscribe(workerData as Setup));
