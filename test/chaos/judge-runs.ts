import type { Scene } from "./faults.ts";
import { type Finding, LATE_MS, repeated } from "./finding.ts";
import type { Run } from "./journal.ts";
import type { Log } from "./log.ts";

/** While this lasted, a job could be given to a second handler before the first one knew. */
export interface Blindness {
  /** The process that could not know; null: none could. */
  pid: number | null;
  /** µs of the machine's monotonic clock, as `to`. */
  from: number;
  to: number;
}

export function judgeRuns(runs: Run[], scene: Pick<Scene, "killed" | "blind">, { events, byJob }: Log): Finding[] {
  const types = new Map(events.map((event) => [event.job_id, event.job_type]));
  const killedAt = new Map(scene.killed.map(({ pid, monotonic }) => [pid, monotonic]));
  const endOf = (run: Run): number => run.endedAt ?? killedAt.get(run.pid) ?? Infinity;
  const isBlind = (run: Run): boolean =>
    scene.blind.some(
      ({ pid, from, to }) => (pid === null || pid === run.pid) && run.startedAt <= to && endOf(run) >= from,
    );
  return [
    {
      what: "no two attempts of a job overlapped",
      checked: runs.length,
      // A handler that ignores its signal goes on after the job was taken from it.
      wrong: overlaps(runs, endOf, (run) => isBlind(run) || types.get(run.jobId) === "STUBBORN"),
    },
    {
      what: "each attempt was begun once",
      checked: runs.length,
      wrong: repeated(runs.filter((run) => !isBlind(run)).map(nameOf)),
    },
    lateResults(runs, byJob),
  ];
}

function overlaps(runs: Run[], endOf: (run: Run) => number, isExempt: (run: Run) => boolean): string[] {
  const wrong: string[] = [];
  for (const own of Map.groupBy(runs, (run) => run.jobId).values()) {
    let last: { run: Run; endedAt: number } | null = null;
    for (const run of own.toSorted((a, b) => a.startedAt - b.startedAt)) {
      if (last !== null && run.startedAt < last.endedAt) wrong.push(`${nameOf(last.run)} and ${run.attempt}`);
      if (isExempt(run)) continue;
      const endedAt = endOf(run);
      if (last === null || endedAt > last.endedAt) last = { run, endedAt };
    }
  }
  return wrong;
}

/** Handlers that ended after their attempt had: by then nothing may have changed by them. */
function lateResults(runs: Run[], byJob: Log["byJob"]): Finding {
  // Two handlers of one attempt, whose claim was lost: the log cannot tell which of them has ended it.
  const doubled = new Set(repeated(runs.map(nameOf)));
  let late = 0;
  const wrong: string[] = [];
  for (const run of runs) {
    const own = byJob.get(run.jobId) ?? [];
    const end = own.find((event) => event.previous_status === "running" && event.attempt === run.attempt);
    if (run.endedOn === null || end === undefined || run.endedOn < end.on + LATE_MS) continue;
    late += 1;
    if (end.status === "completed" && !doubled.has(nameOf(run))) wrong.push(`${nameOf(run)} before its handler ended`);
  }
  return { what: "results that came too late changed nothing", checked: late, wrong };
}

function nameOf({ jobId, attempt }: Run): string {
  return `${jobId} attempt ${attempt}`;
}
