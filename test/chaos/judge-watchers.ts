import { comparePositions, type Position, reachOf } from "../../dist/feed/position.js";
import { until } from "../support/until.ts";
import type { Failover } from "./failover.ts";
import type { Finding } from "./finding.ts";
import type { EventRow, Log } from "./log.ts";
import type { ChaosWatcher, Leg } from "./watcher.ts";

const LAST_EVENT_BOUND_MS = 60_000;

type Watched = Pick<ChaosWatcher, "tenantId" | "status" | "legs" | "rows" | "failure">;

/** Compares what each watcher saw with the log that is left, and what it believes with the table. Waits for the last events. */
export async function judgeWatchers(watchers: Watched[], log: Log, failovers: Failover[]): Promise<Finding[]> {
  const wrong: string[] = [];
  for (const watcher of watchers) {
    const own = log.events.filter(
      ({ tenant_id, status }) => tenant_id === watcher.tenantId && (watcher.status ?? status) === status,
    );
    await until(() => watcher.failure !== null || isComplete(watcher.legs.at(-1), own), {
      boundMs: LAST_EVENT_BOUND_MS,
      what: "a watcher's last event",
    }).catch(() => undefined);
    if (watcher.failure !== null) wrong.push(watcher.failure);
    wrong.push(...watcher.legs.flatMap((leg) => judgeLeg(leg, own, failovers)));
  }
  const keeping = watchers.flatMap(({ tenantId, rows }) => (rows === null ? [] : [{ tenantId, rows }]));
  return [
    { what: "each watcher saw the table's own sequence", checked: watchers.length, wrong },
    {
      what: "what a watcher believes is in the table",
      checked: keeping.length,
      wrong: keeping.flatMap(({ tenantId, rows }) => differences(rows, log, tenantId)),
    },
  ];
}

function isComplete(leg: Leg | undefined, own: EventRow[]): boolean {
  const last = own.at(-1);
  if (leg === undefined || last === undefined || comparePositions(placeOf(last), leg.start) < 0) return true;
  const seen = leg.seen.at(-1);
  return seen !== undefined && comparePositions(seen, placeOf(last)) >= 0;
}

/**
 * A leg shows every event of the log from its start to its end, in order, and nothing else. One that ended because its
 * cursor had expired ends with its last event, and may have shown what a failover then lost: that must be so, as a cursor
 * from before the lost part goes on.
 */
function judgeLeg({ start, startedAt, seen, expired }: Leg, own: EventRow[], failovers: Failover[]): string[] {
  const end = expired ? (seen.at(-1) ?? start) : null;
  // What an earlier failover has lost was no part of the list.
  const losses = failovers.filter(({ endedAt }) => endedAt >= startedAt);
  if (end !== null && !losses.some(({ safePosition }) => reachOf(end) >= safePosition)) {
    return [`the cursor ${end.position}:${end.id} expired, but nothing was lost before it`];
  }
  const expected = own.filter((event) => {
    const place = placeOf(event);
    return comparePositions(place, start) >= 0 && (end === null || comparePositions(place, end) <= 0);
  });
  const left = new Set(expected.map(nameOfRow));
  const mayBeLost = ({ position }: Position): boolean =>
    expired && losses.some(({ safePosition }) => position >= safePosition);
  const shown = seen.filter((one) => left.has(nameOfSeen(one)) || !mayBeLost(one)).map(nameOfSeen);
  const names = expected.map(nameOfRow);
  if (shown.length === names.length && shown.every((name, n) => name === names[n])) return [];
  const at = names.findIndex((name, n) => shown[n] !== name);
  const place = at === -1 ? names.length : at;
  return [`${shown.length} of ${names.length} events; at ${place} came ${shown[place]}, not ${names[place]}`];
}

function differences(rows: NonNullable<ChaosWatcher["rows"]>, { jobs }: Log, tenantId: string): string[] {
  const name = (id: string, { status, version }: { status: string | null; version: number }): string =>
    `${id} ${status} at version ${version}`;
  const believed = new Set([...rows].filter(([, { status }]) => status !== null).map(([id, row]) => name(id, row)));
  const real = new Set(jobs.filter((job) => job.tenant_id === tenantId).map((job) => name(job.id, job)));
  return [
    ...[...believed].filter((row) => !real.has(row)).map((row) => `${row}: not so in the table`),
    ...[...real].filter((row) => !believed.has(row)).map((row) => `${row}: not known to the watcher`),
  ];
}

function placeOf({ position, id }: EventRow): Position {
  return { position: BigInt(position), id: BigInt(id) };
}

function nameOfRow(event: EventRow): string {
  const { position, id, job_id: jobId, version, previous_status: from, status: to } = event;
  return `${position}:${id} ${jobId} ${version} ${from} ${to}`;
}

function nameOfSeen({ position, id, jobId, version, previousStatus: from, status: to }: Leg["seen"][number]): string {
  return `${position}:${id} ${jobId} ${version} ${from} ${to}`;
}
