import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { WebSocket } from "ws";

/* The clients of `hostile.ts`, in a thread of their own. */

const PAUSE_MS = 20;

/** What a thread is to do. */
export interface Setup {
  role: "hostile" | "hostile sockets" | "member";
  url: string;
  headers: Record<string, string>;
  /** How many connections, and for how long. */
  connections: number;
  ms: number;
}

const many = (count: number, one: (n: number) => string) => Array.from({ length: count }, (_, n) => one(n)).join(" ");

const FIELDS = Object.fromEntries(Array.from({ length: 400_000 }, (_, n) => [`f${n}`, 1]));
const TEXT = "x".repeat(7_000_000);
const VALUES = { values: Array.from({ length: 1_000_000 }, () => 1) };

/** Each made anew, so that nothing remembers it. */
const HOSTILE: Record<string, (n: number) => { query: string; variables?: unknown; headers?: Record<string, string> }> = {
  "10,000 tokens": (n) => ({ query: `query Q${n} { ${many(10_000, () => "id")} }` }),
  "1,000 fields, many alike": (n) => ({ query: `query Q${n} { ${many(10, () => `jobs { ${many(90, () => "totalCount")} }`)} }` }),
  "fields that must be compared": (n) => ({ query: `query Q${n} { ${many(9, () => `jobs { nodes { ${many(9, () => "id")} } }`)} }` }),
  "100 aliases": (n) => ({ query: `query Q${n} { ${many(100, (m) => `a${m}: jobs { totalCount }`)} }` }),
  "100 unknown fields": (n) => ({ query: `query Q${n} { ${many(100, (m) => `f${m}`)} }` }),
  "100 levels": (n) => ({ query: `query Q${n} { ${"jobs { nodes { ".repeat(50)} id ${"} } ".repeat(50)} }` }),
  "fragments doubled 60 times": (n) => ({ query: `query Q${n} { ...F0 } ${many(60, (m) => `fragment F${m} on Query { ...F${m + 1} ...F${m + 1} }`)} fragment F60 on Query { __typename }` }),
  "introspection in itself": (n) => ({ query: `query Q${n} { __schema { types { fields { type { fields { name } } } } } }` }),
  "over the cost limit": (n) => ({ query: `query Q${n} { jobs(first: 200) { nodes { events(first: 200) { nodes { version } } } } }` }),
  "just within the cost limit": (n) => ({ query: `query Q${n} { jobs(first: 200) { nodes { id input events(first: 20) { nodes { version status actor { id } } } } } }` }),
  "free of cost, and as large as that can be": (n) => ({ query: `query Q${n} { a: jobs(first: 200) { nodes { id input error { code } } } b: jobs(first: 200, filter: {status: [FAILED]}) { nodes { id output } } }` }),
  "large inputs, page after page": (n) => ({ query: `query Q${n} { ${many(4, (m) => `a${m}: jobs(first: 200) { nodes { input } }`)} }` }),
  "counts by scan": (n) => ({ query: `query Q${n} { ${many(20, (m) => `a${m}: jobs(first: 1, filter: {createdAfter: "2026-01-01T00:00:00Z"}) { totalCount }`)} }` }),
  "many fields, each of a transaction": (n) => ({ query: `query Q${n} { ${many(50, (m) => `a${m}: jobs(first: 1) { nodes { id } }`)} }` }),
  "a megabyte of variables": (n) => ({ query: `query Q${n}($filter: JobFilter) { jobs(filter: $filter) { totalCount } }`, variables: { filter: { jobType: Array.from({ length: 100_000 }, () => "xxxxxxx") } } }),
  "400,000 unknown fields in variables": (n) => ({ query: `query Q${n}($filter: JobFilter) { jobs(filter: $filter) { totalCount } }`, variables: { filter: FIELDS } }),
  "a field's name of seven megabytes": (n) => ({ query: `query Q${n}($filter: JobFilter) { jobs(filter: $filter) { totalCount } }`, variables: { filter: { [TEXT]: 1 } } }),
  "an input of a million values": (n) => ({ query: `mutation Q${n}($input: CreateJobInput!) { createJob(input: $input) { job { id } } }`, variables: { input: { jobType: "A", input: VALUES } } }),
  "a variable used a thousand times": (n) => ({ query: `mutation Q${n}($job: CreateJobInput!) { createJobs(input: [${many(1_000, () => "$job")}]) { eventCursor } }`, variables: { job: { jobType: "A", input: { text: TEXT.slice(0, 250_000) } } } }),
  "errors after a million line breaks": (n) => ({ query: `${"\n".repeat(1_040_000)} query Q${n} { jobs { ${many(100, (m) => `f${m}`)} } }` }),
  "one input fifty times": (n) => ({ query: `query Q${n} { jobs { nodes { ${many(50, (m) => `a${m}: input`)} } } }` }),
  "half a million values in a megabyte": (n) => ({ query: `query Q${n} { jobs(first: 1) { totalCount } }`, variables: { values: VALUES.values.slice(0, 490_000) } }),
  "no token": (n) => ({ query: `query Q${n} { jobs { totalCount } }`, headers: { authorization: "" } }),
  "a bad token": (n) => ({ query: `query Q${n} { jobs { totalCount } }`, headers: { authorization: "Bearer x.y.z" } }),
}; // prettier-ignore

const PAGE = "{ jobs(first: 20) { nodes { id jobType status priority attempt createdAt updatedAt } eventCursor } }";

function send(agent: Agent, url: string, headers: Record<string, string>, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/graphql`, { agent, method: "POST", headers }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
      response.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

async function attack({ url, headers, connections, ms }: Setup): Promise<Record<string, number>> {
  const kinds = Object.entries(HOSTILE);
  const answers: Record<string, number> = {};
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const endsAt = performance.now() + ms;
  let n = 0;
  const run = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      const [kind, make] = kinds[n++ % kinds.length]!;
      const { headers: others = {}, ...body } = make(n);
      const status = await send(agent, url, { ...headers, ...others }, JSON.stringify(body)).catch(() => 0);
      const key = `${kind}: ${status === 0 ? "cut off" : status}`;
      answers[key] = (answers[key] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, run));
  agent.destroy();
  return answers;
}

const SUBSCRIPTIONS: Record<string, (n: number) => string> = {
  "8,000 tokens": (n) => `subscription Q${n} { ${many(7_900, () => "id")} }`,
  "900 unknown fields": (n) => `subscription Q${n} { jobStatusChanged { ${many(900, (m) => `f${m}`)} } }`,
  "a query": (n) => `query Q${n} { jobs { totalCount } }`,
  "a hundred thousand characters": (n) => `subscription Q${n} { ${"x".repeat(100_000)} }`,
  "begun and completed at once": (n) => `subscription Q${n} { jobStatusChanged { job { id } } }`,
};

/** Sends on each socket as soon as it has an answer, or without waiting for one where none will come. */
async function flood({ url, headers, connections, ms }: Setup): Promise<Record<string, number>> {
  const kinds = Object.entries(SUBSCRIPTIONS);
  const answers: Record<string, number> = {};
  const count = (key: string) => (answers[key] = (answers[key] ?? 0) + 1);
  const endsAt = performance.now() + ms;
  let n = 0;
  const run = async (): Promise<void> => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const next = (): void => {
      if (performance.now() > endsAt || socket.readyState !== WebSocket.OPEN) return;
      const [kind, make] = kinds[n++ % kinds.length]!;
      const id = `${n} ${kind}`;
      socket.send(JSON.stringify({ id, type: "subscribe", payload: { query: make(n) } }));
      if (kind !== "begun and completed at once") return;
      socket.send(JSON.stringify({ id, type: "complete" }));
      count(`${kind}: sent`);
      setTimeout(next, 1);
    };
    socket.on("message", (message: Buffer) => {
      const { type, id = "" } = JSON.parse(message.toString()) as { type: string; id?: string };
      count(`${id.slice(id.indexOf(" ") + 1)}: ${type}`);
      if (type === "connection_ack" || type === "error") next();
    });
    socket.on("error", () => count("connection: error"));
    socket.on("close", (code) => performance.now() < endsAt && count(`connection: closed with ${code}`));
    await once(socket, "open");
    const payload = { authorization: headers["authorization"], "x-tenant-id": headers["x-tenant-id"] };
    socket.send(JSON.stringify({ type: "connection_init", payload }));
    await sleep(endsAt - performance.now());
    socket.terminate();
  };
  await Promise.all(Array.from({ length: connections }, run));
  return answers;
}

async function ask({ url, headers, ms }: Setup): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const latencies: number[] = [];
  const body = JSON.stringify({ query: PAGE });
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt) {
    const begunAt = performance.now();
    const status = await send(agent, url, headers, body);
    if (status !== 200) throw new Error(`a member got ${status}`);
    latencies.push(performance.now() - begunAt);
    await sleep(PAUSE_MS);
  }
  agent.destroy();
  return latencies.toSorted((a, b) => a - b);
}

const setup = workerData as Setup;
const ROLES = { hostile: attack, "hostile sockets": flood, member: ask };
parentPort?.postMessage(await ROLES[setup.role](setup));
