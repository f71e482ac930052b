import type { Command, CommandKind } from "./commands.ts";
import { type Failover, mayBeLost } from "./failover.ts";
import { type Finding, LATE_MS, repeated } from "./finding.ts";
import type { EventRow, Log } from "./log.ts";

/** Compares what cancels, retries and deletes were told with what became of the jobs, both ways. */
export function judgeCommands(commands: Command[], { events, byJob }: Log, failovers: Failover[]): Finding[] {
  const isLasting = (command: Command): boolean => !mayBeLost(failovers, command.askedAt, command.answeredAt);
  const done = commands.filter((command) => command.outcome === "done" && isLasting(command));
  const lost = done.filter((command) => !isInLog(command, byJob.get(command.jobId) ?? [])).map(nameOf);
  // A running job may be asked to stop as often as one likes.
  const once = done.filter(({ job }) => job?.status !== "running").map(nameOf);

  const changes = events.flatMap((event) => {
    const kind = kindOf(event);
    return kind === null ? [] : [{ event, kind }];
  });
  const asked = Map.groupBy(commands, ({ kind, jobId }) => `${kind} ${jobId}`);
  const unasked = changes.filter(({ event, kind }) => {
    const candidates = asked.get(`${kind} ${event.job_id}`) ?? [];
    return !candidates.some((command) => mayHaveCaused(command, event, isLasting(command)));
  });
  return [
    {
      what: "acknowledged cancels, retries and deletes have happened, once",
      checked: done.length,
      wrong: [...lost, ...repeated(once).map((name) => `${name}: twice`)],
    },
    {
      what: "nothing was canceled, retried or deleted that nobody asked for, or that was refused",
      checked: changes.length,
      wrong: unasked.map(({ event, kind }) => `${kind} ${event.job_id} at version ${event.version} by ${event.actor}`),
    },
  ];
}

/** Whether each job is as its last event says, and gone if that was its end. */
export function judgeTable({ jobs, byJob }: Log): Finding {
  const present = new Map(jobs.map(({ id, status, version }) => [id, `${status} at version ${version}`]));
  const wrong: string[] = [];
  for (const [id, own] of byJob) {
    const last = own.at(-1);
    const said = last === undefined || last.status === null ? "gone" : `${last.status} at version ${last.version}`;
    const is = present.get(id) ?? "gone";
    if (is !== said) wrong.push(`${id}: ${is}, but its last event says ${said}`);
  }
  wrong.push(...jobs.filter(({ id }) => !byJob.has(id)).map(({ id }) => `${id}: no event`));
  return { what: "each job is as its last event says", checked: jobs.length, wrong };
}

function isInLog({ kind, userId, job }: Command, own: EventRow[]): boolean {
  const isTheirs = (event: EventRow | undefined): boolean =>
    event !== undefined && kindOf(event) === kind && event.actor === `user:${userId}`;
  if (job === null) return isTheirs(own.at(-1));
  if (job.status !== "running") return isTheirs(own.find(({ version }) => version === job.version));
  // Its worker, or who rescues the job, has to end this very attempt as canceled.
  return own.find(({ version }) => version === job.version + 1)?.status === "canceled";
}

/** Which command an event is the outcome of; null for what workers do by themselves. */
function kindOf({ previous_status: from, status: to }: EventRow): CommandKind | null {
  if (to === null) return "delete";
  if (to === "canceled") return "cancel";
  return to === "queued" && (from === "failed" || from === "canceled") ? "retry" : null;
}

function mayHaveCaused({ outcome, job, askedAt, userId }: Command, event: EventRow, isLasting: boolean): boolean {
  if (outcome === "refused" || event.on < askedAt - LATE_MS) return false;
  // The worker's, who was asked to end it.
  if (event.previous_status !== "running" && event.actor !== `user:${userId}`) return false;
  if (outcome === "unanswered" || !isLasting || job === null) return true;
  return event.version === (job.status === "running" ? job.version + 1 : job.version);
}

function nameOf({ kind, jobId, job }: Command): string {
  return `${kind} ${jobId}, told ${job === null ? "nothing" : `${job.status} at version ${job.version}`}`;
}
