import { setTimeout as sleep } from "node:timers/promises";
import { parseHandlerModule } from "../dist/handlers/handler-module.js";
import { startWorker } from "../dist/worker/worker.js";
import { openService } from "./service.ts";

/*
 * Side by side, in one run, on one embedded PostgreSQL: what each layer costs, as a ratio to the one below it. The client
 * runs in the same process, so HTTP rows carry its cost too.
 */
const CALLERS = 8;
const ROUND_MS = 3_000;
const DRAINED_JOBS = 3_000;
const LATENCY_JOBS = 200;

const service = await openService();
const { database, viewer, jobCommands, events, headers, url } = service;
const input = { jobType: "BENCH", input: { to: "test@example.com" } };
const session = { role: "api", tenantId: viewer.tenantId, actor: `user:${viewer.userId}` } as const;

/** Calls `work` from eight callers at once for three seconds. @returns calls a second. */
async function rate(work: () => Promise<unknown>): Promise<number> {
  await work();
  let calls = 0;
  const begun = performance.now();
  const call = async (): Promise<void> => {
    while (performance.now() - begun < ROUND_MS) {
      await work();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return (calls * 1000) / (performance.now() - begun);
}

async function send(path: string, body: unknown): Promise<void> {
  const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok || (await response.text()).includes('"errors"'))
    throw new Error(`${path} answered ${response.status}`);
}

const rows: { what: string; perSecond: number; ratio?: number }[] = [];
function report(what: string, perSecond: number, base = rows[0]?.perSecond ?? perSecond): void {
  rows.push({ what, perSecond: Math.round(perSecond), ratio: Number((perSecond / base).toFixed(2)) });
}

const INSERT = "insert into jobs (tenant_id, job_type, input) values ($1, 'BENCH', $2)";
const one = "mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id status } } }";
const many = "mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }";
report(
  "enqueue: a bare insert",
  await rate(() => database.transaction(session, (tx) => tx.query(INSERT, [viewer.tenantId, input.input]))),
);
report("enqueue: the service", await rate(() => jobCommands.create(viewer, input, [], () => undefined)));
report("enqueue: REST", await rate(() => send("/v1/jobs", input)));
report("enqueue: GraphQL", await rate(() => send("/graphql", { query: one, variables: { input } })));
const batch = Array.from({ length: 100 }, () => input);
report(
  "enqueue: GraphQL, createJobs of 100",
  100 * (await rate(() => send("/graphql", { query: many, variables: { input: batch } }))),
);
await database.mikroOrm.em.fork().execute("analyze");
report(
  "list: GraphQL, 50 jobs",
  await rate(() =>
    send("/graphql", { query: "{ jobs(first: 50) { nodes { id jobType status priority createdAt } } }" }),
  ),
);
await database.transaction({ role: "worker", actor: "system" }, (tx) =>
  tx.query("update jobs set status = 'canceled'"),
);
console.table(rows);

const worker = (concurrency: number) =>
  startWorker({
    ...service,
    handlers: new Map([["BENCH", parseHandlerModule({ default: () => null })]]),
    concurrency,
    tenantShare: 0.5,
    jobTimeoutMs: 60_000,
    shutdownGraceMs: 5_000,
    retentionDays: 30,
  });

const drains = [];
for (const concurrency of [1, 10, 50]) {
  for (let created = 0; created < DRAINED_JOBS; created += 1000) {
    await jobCommands.createMany(
      viewer,
      Array.from({ length: 1000 }, () => input),
      [],
      () => undefined,
    );
  }
  const begun = performance.now();
  const draining = worker(concurrency);
  while (draining.stats.completed < DRAINED_JOBS) await sleep(5);
  drains.push({ concurrency, jobsPerSecond: Math.round((DRAINED_JOBS * 1000) / (performance.now() - begun)) });
  await draining.drain();
}
console.table(drains);

const working = worker(10);
const changes = await events.changes(viewer, { status: ["completed"] }, null);
const latencies: number[] = [];
for (let n = 0; n < LATENCY_JOBS; n += 1) {
  const begun = performance.now();
  await jobCommands.create(viewer, input, [], () => undefined);
  await changes.next();
  latencies.push(performance.now() - begun);
}
await changes.return?.();
latencies.sort((a, b) => a - b);
const at = (share: number) => Number(latencies[Math.floor(share * (LATENCY_JOBS - 1))]?.toFixed(1));
console.table([
  { what: "create → completed, as a subscriber sees it (ms)", p50: at(0.5), p95: at(0.95), p99: at(0.99) },
]);
await working.drain();
await service.close();
