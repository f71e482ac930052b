import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { randomUUID } from "node:crypto";
import { writeHandlers } from "../chaos/journal.ts";
import { openQuery, readLog } from "../chaos/log.ts";
import { preparePeople } from "../chaos/people.ts";
import { createMember, type Member } from "../chaos/processes.ts";
import { type Nginx, startNginx } from "../support/nginx.ts";
import { until } from "../support/until.ts";
import { type Load, startLoad } from "./load.ts";
import { type RollingWatcher, startWatchers } from "./watchers.ts";

export interface RollingOptions {
  /** The service's login, and one that sees all rows. */
  databaseUrl: string;
  superuserUrl: string;
  /** How often every process is restarted. */
  rounds: number;
  createsPerSecond?: number;
}

export interface RollingReport {
  sent: number;
  accepted: number;
  restarts: number;
  /** Requests that failed, as a plain client sees them, and then what nginx said of them. */
  failed: string[];
  /** Accepted jobs that have not completed at their first attempt. */
  unfinished: string[];
  /** By watcher: what it has not seen, and what ended it. */
  missed: Record<string, string[]>;
}

const BETWEEN_MS = 1_000;
const COMPLETE_BOUND_MS = 60_000;

/** Restarts two API processes and two workers behind nginx, one after the other, under load, and says what was noticed. */
export async function runRollingRestart(options: RollingOptions): Promise<RollingReport> {
  const { databaseUrl, superuserUrl, rounds, createsPerSecond = 20 } = options;
  const secret = randomUUID();
  const [person] = (await preparePeople(databaseUrl, secret, { tenants: 1, people: 1 })).people;
  const { tenantId, token } = person!;
  const folder = await mkdtemp(join(tmpdir(), "atlas-rolling-"));
  const variables = {
    DATABASE_URL: databaseUrl,
    DATA_DIR: folder,
    JWT_SECRET: secret,
    CREATE_LIMIT_PER_MINUTE: "0",
    HANDLERS: await writeHandlers(folder),
    TRUST_PROXY: "1",
  };
  const apis = ["api-1", "api-2"].map((name) => createMember(name, { ...variables, ROLE: "api" }));
  const workers = ["worker-1", "worker-2"].map((name) => createMember(name, { ...variables, ROLE: "worker" }));
  const all = [...apis, ...workers];
  let nginx: Nginx | null = null;
  let load: Load | null = null;
  let watchers: RollingWatcher[] = [];
  try {
    await Promise.all(all.map((one) => one.start()));
    nginx = await startNginx(await documentedSite(apis.map(({ url }) => new URL(url).host)));
    watchers = await startWatchers({ url: nginx.url, tenantId, token });
    load = startLoad({ url: nginx.url, tenantId, token, createsPerSecond, jobType: "QUICK" });
    for (let round = 0; round < rounds; round += 1) await restartAll(all);
    await load.stop();
    const complaints = load.failed.length === 0 ? "" : nginx.errors();
    const found = await report(superuserUrl, load, watchers, rounds * all.length);
    return { ...found, failed: [...load.failed, ...complaints.split("\n").filter((line) => line !== "")] };
  } finally {
    await load?.stop();
    for (const watcher of watchers) watcher.stop();
    await nginx?.close();
    await Promise.all(all.map((one) => one.kill("SIGKILL")));
    await rm(folder, { recursive: true });
  }
}

/** Makes the service's login and its database on a server that has neither. */
export async function prepareDatabase(
  superuserUrl: string,
): Promise<Pick<RollingOptions, "databaseUrl" | "superuserUrl">> {
  const query = await openQuery(superuserUrl);
  await query.rows("create role atlas login createrole password 'secret'");
  await query.rows("create database atlas owner atlas");
  await query.end();
  const own = Object.assign(new URL(superuserUrl), { pathname: "/atlas" });
  return {
    superuserUrl: own.href,
    databaseUrl: Object.assign(new URL(own), { username: "atlas", password: "secret" }).href,
  };
}

/** The site of docs/deploy.md, with these processes in the place of its two. */
async function documentedSite(hosts: readonly string[]): Promise<string> {
  const page = await readFile("docs/deploy.md", "utf8");
  const [, documented = ""] = /```nginx\n([^`]*)```/.exec(page) ?? [];
  const site = documented.replace("server {\n", "server {\nlisten 127.0.0.1:PORT;\n");
  const own = hosts.reduce((text, host, n) => text.replace(`127.0.0.1:${8787 + n}`, host), site);
  if (!hosts.every((host) => own.includes(host)))
    throw new Error(`docs/deploy.md has no site of ${hosts.length} processes`);
  return own;
}

/** As an operator does it: each once the one before is ready. */
async function restartAll(all: readonly Member[]): Promise<void> {
  for (const one of all) {
    await sleep(BETWEEN_MS);
    const code = await one.kill("SIGTERM");
    if (code !== 0) throw new Error(`${one.name} ended with ${code}: ${one.unexpected.join()}`);
    await one.start();
  }
  await sleep(BETWEEN_MS);
}

async function report(
  superuserUrl: string,
  { sent, accepted, failed }: Load,
  watchers: readonly RollingWatcher[],
  restarts: number,
): Promise<RollingReport> {
  const read = () => readLog(superuserUrl);
  let log = await read();
  await until(
    async () => {
      log = await read();
      return log.jobs.every(({ status }) => !["queued", "running"].includes(status));
    },
    { boundMs: COMPLETE_BOUND_MS, what: "the last job's end" },
  );
  const missed: Record<string, string[]> = {};
  for (const watcher of watchers) {
    const left = (): string[] => {
      const seen = new Set(watcher.seen.map(({ jobId, version }) => `${jobId} ${version}`));
      return log.events.map((event) => `${event.job_id} ${event.version}`).filter((event) => !seen.has(event));
    };
    await until(() => watcher.failure !== null || left().length === 0, {
      boundMs: COMPLETE_BOUND_MS,
      what: "a watcher's last event",
    }).catch(() => undefined);
    missed[watcher.name] = [...left(), ...(watcher.failure === null ? [] : [watcher.failure])];
  }
  const unfinished = accepted.filter((id) => {
    const last = log.byJob.get(id)?.at(-1);
    return last?.status !== "completed" || last.attempt !== 1;
  });
  return { sent, accepted: accepted.length, restarts, failed, unfinished, missed };
}
