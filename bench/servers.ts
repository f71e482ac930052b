import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import { debianPrograms, startDebianPostgresql } from "../test/support/debian-postgresql.ts";
import { type BenchDatabase, openService } from "./service.ts";

/*
 * A create over REST on PostgreSQL as Debian installs it (JIT on, its own defaults), beside the same on the embedded one: rounds take
 * turns, so that whatever else the machine does meets both. The median is to be at most 1.5 times the embedded one's. The
 * client runs in the service's process, so its CPU is in it, too.
 */
const ROUNDS = 12;
const CALLERS = 4;
const CREATES = 200;
const MAX_RATIO = 1.5;
/** Linux counts processors' time in hundredths of a second. */
const TICK_MS = 10;

async function openDebian(): Promise<BenchDatabase> {
  const server = await startDebianPostgresql();
  const client = new pg.Client({ connectionString: server.superuserUrl });
  await client.connect();
  await client.query("create role atlas login createrole password 'secret'");
  await client.query("create database atlas owner atlas");
  await client.end();
  const superuserUrl = Object.assign(new URL(server.superuserUrl), { pathname: "/atlas" }).href;
  const url = Object.assign(new URL(superuserUrl), { username: "atlas", password: "secret" }).href;
  return { url, superuserUrl, close: () => server.remove() };
}

/** The processor's time, in ms, that a server's processes have had: those with the same parent as one session's. */
async function serverCpuMs({ database }: Service): Promise<number> {
  const [session] = await database.queryAsLogin<{ pid: number }>("select pg_backend_pid() as pid");
  const processes = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")),
  );
  // After the name, which may have spaces: state, parent, …, user's and system's time as the 12th and 13th.
  const stats = processes.map((stat) => ({
    pid: Number.parseInt(stat),
    fields: stat.slice(stat.lastIndexOf(")") + 2).split(" "),
  }));
  const parent = stats.find(({ pid }) => pid === session?.pid)?.fields[1];
  const ticks = stats
    .filter(({ fields }) => fields[1] === parent)
    .map(({ fields }) => Number(fields[11]) + Number(fields[12]));
  return TICK_MS * ticks.reduce((sum, one) => sum + one, 0);
}

type Service = Awaited<ReturnType<typeof openService>>;

class Server {
  private readonly latenciesMs: number[] = [];
  private ownCpuMs = 0;
  private serverCpuMs = 0;

  readonly name: string;
  readonly service: Service;

  constructor(name: string, service: Service) {
    this.name = name;
    this.service = service;
  }

  async round(): Promise<void> {
    const [own, its] = [process.cpuUsage(), await serverCpuMs(this.service)];
    await Promise.all(Array.from({ length: CALLERS }, () => this.create(CREATES / CALLERS)));
    const { user, system } = process.cpuUsage(own);
    this.ownCpuMs += (user + system) / 1000;
    this.serverCpuMs += (await serverCpuMs(this.service)) - its;
  }

  /** Forgets what it has measured: connections, caches and the compiler are warm then. */
  warm(): void {
    this.latenciesMs.length = 0;
    this.ownCpuMs = this.serverCpuMs = 0;
  }

  get row() {
    const requests = this.latenciesMs.length;
    const sorted = this.latenciesMs.toSorted((a, b) => a - b);
    const at = (share: number) => Number(sorted[Math.floor(share * (requests - 1))]?.toFixed(2));
    const each = (ms: number) => Number((ms / requests).toFixed(2));
    return {
      server: this.name,
      requests,
      medianMs: at(0.5),
      p95Ms: at(0.95),
      serviceCpuMs: each(this.ownCpuMs),
      postgresCpuMs: each(this.serverCpuMs),
    };
  }

  private async create(times: number): Promise<void> {
    const { url, headers } = this.service;
    const body = JSON.stringify({ jobType: "BENCH", input: { to: "test@example.com" } });
    for (let n = 0; n < times; n += 1) {
      const begun = performance.now();
      const response = await fetch(`${url}/v1/jobs`, { method: "POST", headers, body });
      await response.text();
      if (!response.ok) throw new Error(`a create on ${this.name} answered ${response.status}`);
      this.latenciesMs.push(performance.now() - begun);
    }
  }
}

if (debianPrograms === null) throw new Error("there is no PostgreSQL of Debian's here: apt-get install postgresql");
const embedded = new Server("embedded", await openService());
const debian = new Server(debianPrograms, await openService(await openDebian()));
for (let round = 0; round <= ROUNDS; round += 1) {
  // Who is second finds the machine warmer: they take turns in that, too.
  for (const server of round % 2 === 0 ? [embedded, debian] : [debian, embedded]) {
    await server.round();
    if (round === 0) server.warm();
  }
}
const ratio = debian.row.medianMs / embedded.row.medianMs;
console.table([embedded.row, debian.row]);
console.log(
  `A create's median on Debian's is ${ratio.toFixed(2)} times the embedded one's; at most ${MAX_RATIO} is wanted.`,
);
for (const { service } of [embedded, debian]) await service.close();
process.exit(ratio <= MAX_RATIO ? 0 : 1);
