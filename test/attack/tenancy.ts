import { randomUUID } from "node:crypto";
import { memberKey } from "../../src/auth/authenticator.js";
import { type TestApi, type TestMember, headersFor, tokenOf } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";

export type JobState = "queued" | "running" | "completed" | "failed" | "canceled";

/** A tenant with something of everything. */
export interface Tenancy {
  /** An owner, who has made the jobs. */
  member: TestMember;
  viewer: TestMember;
  /** Was a member once. */
  removed: TestMember;
  workerId: string;
  jobs: Record<JobState, string>;
  /** What requests can name, of each kind. */
  named: Record<
    "jobId" | "nodeId" | "jobType" | "idempotencyKey" | "pageCursor" | "eventCursor" | "versionCursor" | "memberCursor",
    string[]
  >;
  /** In the tenant's job types, inputs, outputs, errors and keys, and nowhere else. */
  mark: string;
  /** Texts by which anything of the tenant is known, wherever it turns up. */
  secrets: string[];
}

export const STATES: JobState[] = ["queued", "running", "completed", "failed", "canceled"];

/**
 * Makes a tenant whose jobs have been in every status, through the API and as its workers would.
 * @param jobs how many there are besides.
 * @param priority of the first job of each status; the second one's is as low.
 * @param year in which everything happened; null: now.
 */
export async function createTenancy(
  api: TestApi,
  { jobs: more, priority, year }: { jobs: number; priority: number; year: number | null },
): Promise<Tenancy> {
  const member = await api.member({ role: "owner", seat: "pro" });
  const { tenantId } = member;
  const sql = (text: string) => asSuperuser(text, api.own.superuserUrl);
  const mark = `m${randomUUID().replaceAll("-", "")}`;
  // Not one mark for all: what a request names may be echoed, and must not excuse the rest.
  const [typeMark, keyMark, inputMark] = [`type-${mark}`, `key-${randomUUID()}`, `input-${randomUUID()}-${mark}`];
  const workerId = randomUUID();
  const timeoutMs = priority % 604_800_000;
  const input = [...STATES, "deleted"].flatMap((state) =>
    [priority, -priority].map((one, index) => ({
      jobType: typeMark,
      priority: one,
      input: { text: inputMark },
      timeoutMs,
      idempotencyKey: `${keyMark}-${state}-${index}`,
    })),
  );
  const CREATE = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
  const created = (await ask<{ jobs: { id: string }[] }>(api, member, CREATE, { input })).jobs.map(({ id }) => id);
  const ids = Object.fromEntries([...STATES, "deleted"].map((state, index) => [state, created.slice(2 * index, 2 * index + 2)])) as Record<JobState | "deleted", [string, string]>; // prettier-ignore

  const secrets = await runJobs(api, { tenantId, workerId, ids, mark });
  await sql(`
    insert into jobs (tenant_id, job_type, input) select '${tenantId}', '${typeMark}', '{"text": "${inputMark}"}'
    from generate_series(1, ${more});
    update tenants set name = '${mark}' where id = '${tenantId}'`);
  if (year !== null) await moveTo(sql, tenantId, year);

  const viewer = await addMember(api, tenantId, "viewer");
  const removed = await addMember(api, tenantId, "owner");
  await sql(`delete from tenant_members where user_id = '${removed.userId}'`);
  const cursors = await cursorsOf(api, member, ids.completed[0]);
  const jobId = STATES.flatMap((state) => ids[state]).concat(ids.deleted);
  const rows = (await sql(`select id from jobs where tenant_id = '${tenantId}'`)) as { id: string }[];
  return {
    member,
    viewer,
    removed,
    workerId,
    jobs: Object.fromEntries(STATES.map((state) => [state, ids[state][0]])) as Record<JobState, string>,
    named: { jobId, nodeId: [...jobId, ...[member, viewer].map(memberKey)], jobType: [typeMark], idempotencyKey: input.map(({ idempotencyKey }) => idempotencyKey), ...cursors },
    mark,
    secrets: [
      ...new Set([tenantId, member.userId, viewer.userId, removed.userId, workerId, ...jobId, ...rows.map(({ id }) => id)]),
      typeMark, keyMark, inputMark, mark, String(priority), String(timeoutMs),
      ...secrets,
      ...Object.values(cursors).flat(),
      ...(year === null ? [] : [`${year}-02-03T`]),
    ],
  }; // prettier-ignore
}

/** One more job of the tenant in this status. */
export async function freshJob(api: TestApi, tenancy: Tenancy, state: JobState): Promise<string> {
  const { member, workerId, named, mark } = tenancy;
  const id = randomUUID();
  await api.database.transaction({ role: "worker", actor: `worker:${workerId}` }, (tx) =>
    tx.query("insert into jobs (tenant_id, id, job_type, input, created_by) values ($1, $2, $3, $4, $5)", [
      member.tenantId,
      id,
      named.jobType[0],
      { text: mark },
      member.userId,
    ]),
  );
  const ids = { queued: [], running: [], completed: [], failed: [], canceled: [], deleted: [], [state]: [id] };
  await runJobs(api, { tenantId: member.tenantId, workerId, ids, mark });
  return id;
}

/** Brings each job to its status. @returns what the worker wrote. */
async function runJobs(
  api: TestApi,
  of: { tenantId: string; workerId: string; ids: Record<JobState | "deleted", string[]>; mark: string },
): Promise<string[]> {
  const { ids, workerId } = of;
  const [output, code, message] = [0, 1, 2].map(() => `${randomUUID()}-${of.mark}`);
  const error = `jsonb_build_object('code', '${code}', 'message', '${message}', 'attempt', attempt, 'occurredAt', clock_timestamp(), 'stack', 'at ${message}')`;
  await api.database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    const change = (which: string[], set: string) =>
      tx.query(`update jobs set ${set} where tenant_id = $1 and id = any($2)`, [of.tenantId, which]);
    const run = (which: string[]) =>
      change(which, `status = 'running', attempt = attempt + 1, started_at = now(), worker_id = '${workerId}'`);
    await run([...ids.running, ...ids.completed, ...ids.failed]);
    await change(ids.completed, `status = 'queued', error = ${error}`);
    await run(ids.completed);
    await change(ids.completed, `status = 'completed', error = null, output = to_jsonb('${output}'::text)`);
    await change(ids.failed, `status = 'failed', error = ${error}`);
    await change([...ids.running, ...ids.canceled], "cancel_requested_at = now()");
    await change(ids.canceled, "status = 'canceled'");
    await tx.query("delete from jobs where tenant_id = $1 and id = any($2)", [of.tenantId, ids.deleted]);
  });
  return [output, code, message].map(String);
}

async function moveTo(sql: (text: string) => Promise<unknown>, tenantId: string, year: number): Promise<void> {
  const moved = (column: string) =>
    `${column} = make_timestamptz(${year}, 2, 3, 4, 5, 6.789) + (${column} - date_trunc('minute', ${column}))`;
  const columns = ["created_at", "updated_at", "run_at", "started_at", "finished_at", "cancel_requested_at"];
  // The triggers leave instants alone while the status stays.
  const errorAt = (column: string) => `error = jsonb_set(error, '{occurredAt}', to_jsonb(${column}))`;
  await sql(`
    update jobs set ${columns.map(moved).join(", ")} where tenant_id = '${tenantId}';
    update job_events set ${moved("occurred_at")} where tenant_id = '${tenantId}';
    update jobs set ${errorAt("created_at")} where tenant_id = '${tenantId}';
    update job_events set ${errorAt("occurred_at")} where tenant_id = '${tenantId}'`);
}

async function addMember(api: TestApi, tenantId: string, role: string): Promise<TestMember> {
  const userId = randomUUID();
  await asSuperuser(
    `insert into tenant_members (tenant_id, user_id, role) values ('${tenantId}', '${userId}', '${role}')`,
    api.own.superuserUrl,
  );
  const token = tokenOf(userId);
  return { tenantId, userId, token, headers: headersFor(token, tenantId) };
}

interface Page {
  edges: { cursor: string }[];
  eventCursor: string;
}

async function cursorsOf(api: TestApi, member: TestMember, id: string) {
  const PAGE = "edges { cursor } eventCursor";
  const jobs = await ask<Page>(api, member, `{ jobs(first: 2) { ${PAGE} } }`);
  // Events are listed once no transaction is open that could put one before them.
  const events = await until(async () => {
    const page = await ask<Page>(api, member, `{ jobEvents(first: 3) { ${PAGE} } }`);
    return page.edges.length === 3 && page;
  });
  const versions = await ask<{ events: Page }>(api, member, `query ($id: ID!) { job(id: $id) { events(first: 3) { ${PAGE} } } }`, { id }); // prettier-ignore
  const members = await ask<Page>(api, member, "{ members { edges { cursor } } }");
  const of = ({ edges }: Pick<Page, "edges">) => edges.map(({ cursor }) => cursor);
  return {
    pageCursor: of(jobs),
    eventCursor: [...of(events), jobs.eventCursor],
    versionCursor: of(versions.events),
    memberCursor: of(members),
  };
}

/** Everything that the database keeps of a tenant. */
export async function rowsOf(api: TestApi, { member: { tenantId } }: Tenancy): Promise<Record<string, unknown>> {
  const sql = (text: string) => asSuperuser(text, api.own.superuserUrl) as Promise<Record<string, unknown>[]>;
  const tables = await sql(
    "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'",
  );
  const rows: Record<string, unknown> = {};
  for (const { table_name: table } of tables) {
    const [kept] = await sql(
      `select jsonb_agg(row order by row) as rows from (select to_jsonb(t) as row from ${String(table)} t where tenant_id = '${tenantId}') kept`,
    );
    rows[String(table)] = kept?.["rows"];
  }
  return rows;
}
