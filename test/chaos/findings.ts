import pg from "pg";
import { until } from "../support/until.ts";
import type { Scene } from "./faults.ts";
import { readJournal, type Run } from "./journal.ts";
import type { Producer } from "./producer.ts";
import { nameOf } from "./watcher.ts";

/** One thing that must hold, and what was found; `wrong` names what breaks it. */
export interface Finding {
  what: string;
  checked: number;
  wrong: string[];
}

interface EventRow {
  tenant_id: string;
  job_id: string;
  job_type: string;
  version: number;
  position: string;
  previous_status: string | null;
  status: string | null;
  attempt: number;
  actor: string;
  worker_id: string | null;
  on: number;
}

const DEAD_WORKER_MS = 15_000;
/** A restart of PostgreSQL makes every worker wait until it has seen beats of its own again. */
const RESTART_SHADOW_MS = 12_000;
/** Clocks are the same machine's; an event's instant is taken before its handler's end is noted, or after. */
const LATE_MS = 500;

export async function openQuery(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    rows: async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => (await client.query<Row>(sql)).rows,
    end: () => client.end(),
  };
}

/** Waits until nothing runs and nothing could. */
export async function settle(url: string): Promise<void> {
  const query = await openQuery(url);
  await until(
    async () => {
      const [row] = await query.rows<{ n: number }>(
        "select count(*)::int as n from jobs where status = 'running' or (status = 'queued' and run_at <= now())",
      );
      return row?.n === 0;
    },
    { boundMs: 120_000, what: "a queue at rest" },
  );
  await query.end();
}

/** Looks at the tables, the handlers' journal and the watchers' records. Nothing may move any more. */
export async function findings(scene: Scene, producers: Producer[]): Promise<Finding[]> {
  const query = await openQuery(scene.cluster.superuserUrl);
  const jobs = await query.rows<{ id: string; status: string }>("select id, status from jobs");
  const events = await query.rows<EventRow>(
    `select *, extract(epoch from occurred_at)::float8 * 1000 as on from job_events order by position, id`,
  );
  const sums = await query.rows<{ wrong: string }>(SUMS);
  await query.end();
  const runs = await readJournal(scene.cluster.folder);
  const byJob = Map.groupBy(events, (event) => event.job_id);
  const jobsWhose = (wrong: (own: EventRow[]) => boolean): string[] =>
    [...byJob].filter(([, own]) => wrong(own)).map(([id]) => id);
  const accepted = new Set(producers.flatMap((producer) => producer.accepted));
  const toDelete = new Set(producers.flatMap((producer) => [...producer.toDelete]));
  const present = new Set(jobs.map(({ id }) => id));
  const deleted = events.filter(({ status }) => status === null).map((event) => event.job_id);
  const known = new Set([...present, ...deleted]);
  const ends = events.filter((event) => event.previous_status === "running");

  return [
    finding("accepted jobs are there, or were deleted", accepted, (id) => !known.has(id)),
    finding("there are no jobs that nobody was told of", known, (id) => !accepted.has(id)),
    finding("deleted were only jobs that somebody asked to delete", deleted, (id) => !toDelete.has(id) || present.has(id)),
    finding("jobs are finished or queued", jobs.map(({ id, status }) => `${id} ${status}`), (job) => job.endsWith("running")),
    { what: "versions are dense", checked: events.length, wrong: jobsWhose((own) => own.some(({ version }, n) => version !== n + 1)) },
    { what: "no job was completed twice", checked: byJob.size, wrong: jobsWhose((own) => own.filter(({ status }) => status === "completed").length > 1) },
    { what: "each attempt ended once", checked: ends.length, wrong: repeated(ends.map(({ job_id: id, attempt }) => `${id} ${attempt}`)) },
    { what: "no two attempts of a job overlapped", checked: runs.length, wrong: overlaps(runs, scene, events) },
    lateResults(runs, byJob),
    await watchersSaw(scene, events),
    { what: "usage and counts add up", checked: jobs.length, wrong: sums.map(({ wrong }) => wrong) },
    deadWorkersFound(scene, ends),
    { what: "every answer was one of the contract's", checked: producers.reduce((sum, { changes }) => sum + changes, accepted.size), wrong: producers.flatMap(({ wrong }) => wrong) },
    { what: "no process ended by itself", checked: scene.apis.length + scene.workers.length, wrong: [...scene.apis, ...scene.workers].flatMap(({ unexpected }) => unexpected) },
  ]; // prettier-ignore
}

function finding(what: string, all: Iterable<string>, isWrong: (one: string) => boolean): Finding {
  const checked = [...all];
  return { what, checked: checked.length, wrong: checked.filter(isWrong) };
}

function repeated(names: string[]): string[] {
  return [...Map.groupBy(names, (name) => name)].filter(([, same]) => same.length > 1).map(([name]) => name);
}

/**
 * Attempts of one job whose handlers ran at the same time: but for those of a worker that was frozen and of a handler that
 * ignores its signal, which go on after the job was taken from them.
 */
function overlaps(runs: Run[], scene: Scene, events: EventRow[]): string[] {
  const types = new Map(events.map((event) => [event.job_id, event.job_type]));
  const killedAt = new Map(scene.killed.map(({ pid, monotonic }) => [pid, monotonic]));
  const wrong: string[] = [];
  for (const [jobId, own] of Map.groupBy(runs, (run) => run.jobId)) {
    const exempt = types.get(jobId) === "STUBBORN";
    let last: { run: Run; endedAt: number } | null = null;
    for (const run of own.toSorted((a, b) => a.startedAt - b.startedAt)) {
      if (last !== null && run.startedAt < last.endedAt) wrong.push(`${jobId}: ${last.run.attempt} and ${run.attempt}`);
      const endedAt = run.endedAt ?? killedAt.get(run.pid) ?? Infinity;
      if (exempt || scene.frozen.has(run.pid)) continue;
      if (last === null || endedAt > last.endedAt) last = { run, endedAt };
    }
  }
  return [...wrong, ...repeated(runs.map(({ jobId, attempt }) => `${jobId} attempt ${attempt} begun twice`))];
}

/** Handlers that ended after their attempt had: by then nothing may have changed by them. */
function lateResults(runs: Run[], byJob: Map<string, EventRow[]>): Finding {
  let late = 0;
  const wrong: string[] = [];
  for (const { jobId, attempt, endedOn } of runs) {
    const own = byJob.get(jobId) ?? [];
    const end = own.find((event) => event.previous_status === "running" && event.attempt === attempt);
    if (endedOn === null || end === undefined || endedOn < end.on + LATE_MS) continue;
    late += 1;
    if (end.status === "completed") wrong.push(`${jobId}: attempt ${attempt} completed before its handler ended`);
  }
  return { what: "results that came too late changed nothing", checked: late, wrong };
}

async function watchersSaw(scene: Scene, events: EventRow[]): Promise<Finding> {
  const wrong: string[] = [];
  for (const watcher of scene.watchers) {
    const expected = events
      .filter((event) => event.tenant_id === watcher.tenantId && (watcher.status ?? event.status) === event.status)
      .filter(({ position }) => BigInt(position) >= watcher.startPosition)
      .map((event) => nameOf(event.job_id, event.version, event.previous_status, event.status));
    await until(() => watcher.seen.length >= expected.length || watcher.failure, {
      boundMs: 60_000,
      what: "a watcher's last event",
    }).catch(() => undefined);
    const at = expected.findIndex((event, index) => watcher.seen[index] !== event);
    if (at === -1 && watcher.seen.length === expected.length && watcher.failure === null) continue;
    wrong.push(`${watcher.seen.length} of ${expected.length}, first difference at ${at}, ${watcher.failure}`);
  }
  return { what: "each watcher saw the table's own sequence", checked: scene.watchers.length, wrong };
}

function deadWorkersFound(scene: Scene, ends: EventRow[]): Finding {
  const wrong: string[] = [];
  let checked = 0;
  for (const { workerId, at } of scene.killed) {
    const taken = ends.filter((end) => end.worker_id === workerId && end.on > at).map((end) => end.on - at);
    if (taken.length === 0) continue;
    const ms = Math.max(...taken);
    if (scene.restarts.some((restart) => restart > at - RESTART_SHADOW_MS && restart < at + ms)) continue;
    checked += 1;
    scene.foundMs.push(Math.round(ms));
    if (ms > DEAD_WORKER_MS) wrong.push(`${workerId} after ${ms} ms`);
  }
  return { what: "dead workers' jobs were taken back within 15 s", checked, wrong };
}

/** Members' usage against the creates that the log names, and the kept counts against the table. */
const SUMS = `
select 'usage of ' || coalesce(u.member, e.member) as wrong from
  (select 'user:' || user_id as member, sum(used) as n from daily_usage group by 1) u
  full join (select actor as member, count(*) as n from job_events where version = 1 group by 1) e using (member)
where u.n is distinct from e.n
union all
select 'count of ' || status from
  (select tenant_id, job_type, status, sum(delta) as n from job_counts group by 1, 2, 3 having sum(delta) <> 0) c
  full join (select tenant_id, job_type, status, count(*) as n from jobs group by 1, 2, 3) j
    using (tenant_id, job_type, status)
where c.n is distinct from j.n`;
