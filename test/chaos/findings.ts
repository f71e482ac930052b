import { setTimeout as sleep } from "node:timers/promises";
import { mayBeLost } from "./failover.ts";
import type { Scene } from "./faults.ts";
import { type Finding, finding, repeated } from "./finding.ts";
import { readJournal } from "./journal.ts";
import { judgeCommands, judgeTable } from "./judge-commands.ts";
import { judgeRuns } from "./judge-runs.ts";
import { judgeWatchers } from "./judge-watchers.ts";
import { type EventRow, type Log, openQuery, readLog } from "./log.ts";
import type { Producer } from "./producer.ts";

const DEAD_WORKER_MS = 15_000;
/** A restart of PostgreSQL makes every worker wait until it has seen beats of its own again. */
const RESTART_SHADOW_MS = 12_000;
const SETTLE_BOUND_MS = 120_000;
const SETTLE_POLL_MS = 100;
const FINISHED = ["completed", "failed", "canceled"];

/** Waits until every job has ended, those whose time is still to come included, or two minutes have passed. */
export async function settle(url: string): Promise<void> {
  const query = await openQuery(url);
  for (const end = Date.now() + SETTLE_BOUND_MS; Date.now() < end; await sleep(SETTLE_POLL_MS)) {
    const [row] = await query.rows<{ n: number }>("select count(*)::int as n from jobs where finished_at is null");
    if (row?.n === 0) break;
  }
  await query.end();
}

/** Looks at the tables, the handlers' journal and the watchers' records. Nothing may move any more. */
export async function findings(scene: Scene, producers: Producer[]): Promise<Finding[]> {
  const { cluster, failovers, watchers } = scene;
  const log = await readLog(cluster.superuserUrl);
  const { jobs, events, byJob } = log;
  const query = await openQuery(cluster.superuserUrl);
  const sums = await query.rows<{ wrong: string }>(SUMS);
  await query.end();
  const runs = await readJournal(cluster.folder);
  const jobsWhose = (wrong: (own: EventRow[]) => boolean): string[] =>
    [...byJob].filter(([, own]) => wrong(own)).map(([id]) => id);
  const accepted = producers.flatMap((producer) => producer.accepted);
  const acceptedIds = new Set(accepted.map(({ id }) => id));
  const lasting = accepted.filter(({ askedAt, answeredAt }) => !mayBeLost(failovers, askedAt, answeredAt));
  const commands = producers.flatMap((producer) => producer.commands);
  const answers = accepted.length + commands.filter(({ outcome }) => outcome !== "unanswered").length;
  const unexpected = producers.flatMap(({ wrong, commands: own }) => [
    ...wrong,
    ...own.flatMap((one) => one.wrong ?? []),
  ]);
  const known = new Set(byJob.keys());
  const ends = events.filter((event) => event.previous_status === "running");
  const members = [...scene.apis, ...scene.workers];

  return [
    finding("accepted jobs are there, or were deleted", lasting.map(({ id }) => id), (id) => !known.has(id)),
    finding("there are no jobs that nobody was told of", known, (id) => !acceptedIds.has(id)),
    judgeTable(log),
    ...judgeCommands(commands, log, failovers),
    judgeEnds(log),
    { what: "versions are dense", checked: events.length, wrong: jobsWhose((own) => own.some(({ version }, n) => version !== n + 1)) },
    { what: "no job was completed twice", checked: byJob.size, wrong: jobsWhose((own) => own.filter(({ status }) => status === "completed").length > 1) },
    { what: "each attempt ended once", checked: ends.length, wrong: repeated(ends.map(({ job_id: id, attempt }) => `${id} ${attempt}`)) },
    ...judgeRuns(runs, scene, log),
    ...(await judgeWatchers(watchers, log, failovers)),
    { what: "usage and counts add up", checked: jobs.length, wrong: sums.map(({ wrong }) => wrong) },
    deadWorkersFound(scene, ends),
    { what: "every answer was one of the contract's", checked: answers, wrong: unexpected },
    { what: "no process ended by itself", checked: members.length, wrong: members.flatMap((member) => member.unexpected) },
  ]; // prettier-ignore
}

/** Whether every job has ended, those that were to wait for their time included. */
export function judgeEnds({ jobs }: Pick<Log, "jobs">): Finding {
  const wrong = jobs.filter(({ status }) => !FINISHED.includes(status)).map(({ id, status }) => `${id}: ${status}`);
  return { what: "every job has ended", checked: jobs.length, wrong };
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
