import { createAtlasClient, type AtlasClient, type JobStatusChange, type WatchState } from "../../src/client/index.js";
import { useApi, useMember } from "../support/api.js";
import { asSuperuser, useDatabase, insertJobs } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

export const own = useDatabase({ per: "test" });
export const api = useApi({}, { on: own, per: "test" });
export const member = useMember(api, { per: "test" });
export let client: AtlasClient;
beforeEach(() => {
  client = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: member.token });
});

export const insert = (count: number) => insertJobs(own.database, member.tenantId, count);

/** Collects what a watch gives, from its beginning. */
export async function collect(from: AtlasClient, options: Parameters<AtlasClient["watch"]>[0] = {}) {
  const { eventCursor: after } = await client.list({ first: 1 });
  const states: WatchState[] = [];
  const seen: JobStatusChange[] = [];
  const changes = from.watch({ after, onState: (state) => states.push(state), ...options });
  atEnd(() => changes.return?.());
  const over = (async () => {
    for await (const change of changes) seen.push(change);
  })();
  // Its failure is what some tests look at, through `over`.
  over.catch(() => undefined);
  await until(() => states.includes("live") || options.signal?.aborted);
  const count = (changed: number) =>
    until(() => seen.length >= changed && seen, { what: `${changed} changes (${seen.length} came)`, boundMs: 30_000 });
  return { states, seen, over, count, changes };
}

/** The tenant's events in the order of the log. */
export async function logged(): Promise<string[]> {
  const rows = (await asSuperuser(
    `select job_id, version from job_events where tenant_id = '${member.tenantId}' order by position, id`,
    own.superuserUrl,
  )) as { job_id: string; version: number }[];
  return rows.map((row) => `${row.job_id} ${row.version}`);
}
export const named = (seen: JobStatusChange[]) => seen.map(({ jobId, version }) => `${jobId} ${version}`);
