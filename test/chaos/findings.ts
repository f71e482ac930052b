import pg from "pg";
import { until } from "../support/until.ts";
import type { Scene } from "./faults.ts";
import { readJournal, type Run } from "./journal.ts";
import { unexpectedEnds } from "./processes.ts";
import type { Producer } from "./producer.ts";

/** One thing that must hold, and what was found; `wrong` names the first few that break it. */
export interface Finding {
  what: string;
  checked: number;
  wrong: string[];
}

const DEAD_WORKER_MS = 15_000;
/** A restart of PostgreSQL makes every worker wait until it has seen beats of its own again. */
const RESTART_SHADOW_MS = 12_000;

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
    { boundMs: 90_000, what: "a queue at rest" },
  );
  await query.end();
}

/** Looks at the tables, the handlers' journal and the watchers' records. Nothing may move any more. */
export async function findings(scene: Scene, producers: Producer[]): Promise<Finding[]> {
  const query = await openQuery(scene.cluster.superuserUrl);
  const found: Finding[] = [];
  const check = (what: string, checked: number, wrong: string[]): void => void found.push({ what, checked, wrong });

  const accepted = producers.flatMap((producer) => producer.accepted);
  const jobs = await query.rows<{ id: string; job_type: string; status: string }>(
    "select id, job_type, status from jobs",
  );
  const events = await query.rows<{
    tenant_id: string;
    job_id: string;
    job_type: string;
    version: number;
    status: string | null;
  }>("select tenant_id, job_id, job_type, version, status from job_events order by position, id");
  const deleted = new Set(events.filter(({ status }) => status === null).map((event) => event.job_id));
  const present = new Set([...jobs.map(({ id }) => id), ...deleted]);
  check(
    "accepted jobs are there, or were deleted",
    accepted.length,
    accepted.filter((id) => !present.has(id)),
  );
  const known = new Set(accepted);
  check("jobs that nobody was told of", present.size, [...present].filter((id) => !known.has(id))); // prettier-ignore
  check(
    "jobs are finished or queued",
    jobs.length,
    jobs.filter(({ status }) => status === "running").map(({ id }) => id),
  );
  const byJob = Map.groupBy(events, (event) => event.job_id);
  check(
    "no job was completed twice",
    byJob.size,
    [...byJob].filter(([, own]) => own.filter(({ status }) => status === "completed").length > 1).map(([id]) => id),
  );
  check(
    "versions are dense",
    events.length,
    [...byJob].filter(([, own]) => own.some(({ version }, index) => version !== index + 1)).map(([id]) => id),
  );

  const types = new Map(events.map((event) => [event.job_id, event.job_type]));
  const runs = await readJournal(scene.cluster.folder);
  check("no two attempts overlapped", runs.length, overlaps(runs, scene, types));

  const differing: string[] = [];
  for (const watcher of scene.watchers) {
    const expected = events
      .filter(({ tenant_id: tenant, status }) => tenant === watcher.tenantId && (watcher.status ?? status) === status)
      .map((event) => `${event.job_id} ${event.version}`);
    await until(() => watcher.seen.length >= expected.length || watcher.failure, {
      boundMs: 30_000,
      what: "a watcher's last event",
    }).catch(() => undefined);
    const at = expected.findIndex((event, index) => watcher.seen[index] !== event);
    if (at === -1 && watcher.seen.length === expected.length && watcher.failure === null) continue;
    differing.push(`${watcher.seen.length} of ${expected.length}, first difference at ${at}, ${watcher.failure}`);
  }
  check("each watcher saw the table's own sequence", scene.watchers.length, differing);

  const sums = await query.rows<{ wrong: string }>(
    `select 'usage of ' || u.tenant_id as wrong from
       (select tenant_id, sum(used) as n from daily_usage group by 1) u
       full join (select tenant_id, count(*) as n from job_events where version = 1 group by 1) e using (tenant_id)
     where u.n is distinct from e.n
     union all
     select 'count of ' || status from
       (select tenant_id, job_type, status, sum(delta) as n from job_counts group by 1, 2, 3 having sum(delta) <> 0) c
       full join (select tenant_id, job_type, status, count(*) as n from jobs group by 1, 2, 3) j
         using (tenant_id, job_type, status)
     where c.n is distinct from j.n`,
  );
  check("usage and counts add up", jobs.length, sums.map(({ wrong }) => wrong)); // prettier-ignore

  const late: string[] = [];
  let measured = 0;
  for (const { workerId, at } of scene.killed) {
    const [row] = await query.rows<{ ms: number | null }>(
      `select (extract(epoch from max(occurred_at)) * 1000 - ${at})::int as ms from job_events
       where worker_id = '${workerId}' and previous_status = 'running' and occurred_at > to_timestamp(${at / 1000})`,
    );
    const ms = row?.ms;
    if (ms == null || scene.restarts.some((restart) => restart > at - RESTART_SHADOW_MS && restart < at + ms)) continue;
    measured += 1;
    if (ms > DEAD_WORKER_MS) late.push(`${workerId} after ${ms} ms`);
  }
  check("dead workers' jobs were taken back within 15 s", measured, late);
  check("no process ended by itself", scene.apis.length + scene.workers.length, [...unexpectedEnds]);
  await query.end();
  return found;
}

/** Attempts of one job that ran at the same time, but for those of frozen workers and of handlers that ignore signals. */
function overlaps(runs: Run[], scene: Scene, types: Map<string, string>): string[] {
  const killedAt = new Map(scene.killed.map(({ pid, monotonic }) => [pid, monotonic]));
  const wrong: string[] = [];
  for (const [jobId, own] of Map.groupBy(runs, (run) => run.jobId)) {
    if (types.get(jobId) === "STUBBORN" || own.some(({ pid }) => scene.frozen.has(pid))) continue;
    const inOrder = own.toSorted((a, b) => a.startedAt - b.startedAt);
    for (const [index, run] of inOrder.entries()) {
      const endedAt = run.endedAt ?? killedAt.get(run.pid) ?? Infinity;
      const next = inOrder[index + 1];
      if (next !== undefined && next.startedAt < endedAt) wrong.push(`${jobId}: ${run.attempt} and ${next.attempt}`);
    }
  }
  return wrong;
}
