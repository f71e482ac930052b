import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import { headersFor, useApi, useMember, type TestMember, tokenOf } from "../support/api.js";
import { asSuperuser, SYSTEM } from "../support/database.js";
import { ask, send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";
import { complete, fail, release } from "../support/transitions.js";

const api = useApi();
const member = useMember(api);
let other: TestMember;
beforeAll(async () => {
  other = await api.member();
});

interface Connection {
  edges: { cursor: string; node: Record<string, unknown> }[];
  nodes: Record<string, unknown>[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
  eventCursor: string;
}

const CREATE = `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id timeoutMs } } }`;
const PAGE = `edges { cursor node { jobId version status } } nodes { jobId jobType version previousStatus status attempt actor { kind id } error { code } }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } eventCursor`;
const JOB_EVENTS = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
  job(id: $id) { events(first: $first, after: $after, last: $last, before: $before) { ${PAGE} } }
}`;
const TENANT_EVENTS = `query ($first: Int, $after: EventCursor) { jobEvents(first: $first, after: $after) { ${PAGE} } }`;

async function create(jobType: string, more: Record<string, unknown> = {}): Promise<string> {
  return (await ask<{ job: { id: string } }>(api, member, CREATE, { input: { jobType, ...more } })).job.id;
}

async function run(
  jobType: string,
  end: "complete" | "fail" | "release",
): Promise<{ workerId: string; attempt: number }> {
  const workerId = randomUUID();
  return api.database.transaction({ role: "worker", actor: `worker:${workerId}` }, async (tx) => {
    const {
      jobs: [job],
    } = await claim(tx, { workerId, jobTypes: [jobType], limit: 1 });
    const held = { tenantId: member.tenantId, id: job!.id, workerId, attempt: job!.attempt };
    if (end === "complete") await complete(tx, held, "done");
    else if (end === "release") await release(tx, held);
    else
      await fail(tx, held, {
        code: "boom",
        message: `of ${held.attempt}`,
        permanent: false,
        retryDelayMs: 0,
        stack: "at boom",
      });
    return held;
  });
}

const jobEvents = async (id: string, variables: Record<string, unknown> = {}) =>
  (await ask<{ events: Connection }>(api, member, JOB_EVENTS, { id, ...variables })).events;

describe("Job.attempts", () => {
  it("lists each attempt with its worker, its times, and the error that ended it", async () => {
    const id = await create("ATTEMPTS");
    const first = await run("ATTEMPTS", "fail");
    const second = await run("ATTEMPTS", "release");
    const third = await run("ATTEMPTS", "complete");
    const { attempts } = await ask<{ attempts: Record<string, unknown>[] }>(
      api,
      member,
      `query ($id: ID!) { job(id: $id) { attempts { attempt workerId startedAt finishedAt status error { code message attempt } } } }`,
      { id },
    );
    const times = { startedAt: expect.any(String), finishedAt: expect.any(String) };
    expect(attempts).toEqual([
      { attempt: 1, workerId: first.workerId, status: "QUEUED", error: { code: "boom", message: "of 1", attempt: 1 }, ...times }, // prettier-ignore
      { attempt: 2, workerId: second.workerId, status: "QUEUED", error: null, ...times },
      { attempt: 3, workerId: third.workerId, status: "COMPLETED", error: null, ...times },
    ]);
  });

  it("shows where it failed to whoever may change jobs, and on REST to nobody", async () => {
    const id = await create("STACKS");
    await run("STACKS", "fail");
    const query = "query ($id: ID!) { job(id: $id) { attempts { stack error { message } } } }";
    const userId = randomUUID();
    await api.database.transaction(SYSTEM, (tx) =>
      tx.query("insert into tenant_members (tenant_id, user_id, role) values ($1, $2, 'viewer')", [
        member.tenantId,
        userId,
      ]),
    );
    const token = tokenOf(userId);
    const reader = { tenantId: member.tenantId, userId, token, headers: headersFor(token, member.tenantId) };
    const seenBy = async (who: TestMember) => (await ask<{ attempts: unknown }>(api, who, query, { id })).attempts;
    expect(await seenBy(member)).toEqual([{ stack: "at boom", error: { message: "of 1" } }]);
    expect(await seenBy(reader)).toEqual([{ stack: null, error: { message: "of 1" } }]);
    for (const path of ["/v1/jobs/list", `/v1/jobs/${id}`]) {
      const text = await (await fetch(api.url + path, { headers: member.headers })).text();
      expect([path, text.includes("boom"), text.includes("stack")]).toEqual([path, true, false]);
    }
  });

  it("shows one that is running without an end, and none of a job that has not begun", async () => {
    const id = await create("RUNNING_ATTEMPT");
    const attempts = () =>
      ask<{ attempts: unknown }>(
        api,
        member,
        `query ($id: ID!) { job(id: $id) { attempts { attempt finishedAt status } } }`,
        {
          id,
        },
      );
    expect(await attempts()).toEqual({ attempts: [] });
    await api.database.transaction(SYSTEM, (tx) =>
      claim(tx, { workerId: randomUUID(), jobTypes: ["RUNNING_ATTEMPT"], limit: 1 }),
    );
    expect(await attempts()).toEqual({ attempts: [{ attempt: 1, finishedAt: null, status: "RUNNING" }] });
  });
});

describe("Job.events", () => {
  it("lists a job's events as soon as they are committed, with who made each", async () => {
    const id = await create("EVENTS");
    const { workerId } = await run("EVENTS", "fail");
    await ask(api, member, `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`, { id });
    const { nodes } = await jobEvents(id);
    const user = { kind: "USER", id: member.userId };
    const worker = { kind: "WORKER", id: workerId };
    expect(
      nodes.map(({ version, previousStatus, status, actor, error }) => [version, previousStatus, status, actor, error]),
    ).toEqual([
      [1, null, "QUEUED", user, null],
      [2, "QUEUED", "RUNNING", worker, null],
      [3, "RUNNING", "QUEUED", worker, { code: "boom" }],
      [4, "QUEUED", "CANCELED", user, null],
    ]);
  });

  it("names neither a login of the database nor the system's own", async () => {
    const id = randomUUID();
    await asSuperuser(
      `insert into jobs (tenant_id, id, job_type) values ('${member.tenantId}', '${id}', 'BY_HAND')`,
      api.own.superuserUrl,
    );
    await api.database.transaction(SYSTEM, (tx) => tx.query("update jobs set status = 'canceled' where id = $1", [id]));
    expect((await jobEvents(id)).nodes.map(({ actor }) => actor)).toEqual([
      { kind: "DATABASE", id: null },
      { kind: "SYSTEM", id: null },
    ]);
  });

  it("pages without a hole or a repetition", async () => {
    const id = await create("PAGES");
    await run("PAGES", "release");
    await run("PAGES", "complete");
    const seen: unknown[] = [];
    for (let after: string | null = null, more = true; more;) {
      const page: Connection = await jobEvents(id, { first: 2, after });
      seen.push(...page.edges.map(({ node }) => node["version"]));
      expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
      ({ endCursor: after, hasNextPage: more } = page.pageInfo);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it("pages from the end without a hole or a repetition, and between two cursors", async () => {
    const id = await create("BACKWARD");
    await run("BACKWARD", "release");
    await run("BACKWARD", "complete");
    const seen: unknown[] = [];
    for (let before: string | null = null, more = true; more;) {
      const page: Connection = await jobEvents(id, { last: 2, before });
      seen.unshift(...page.edges.map(({ node }) => node["version"]));
      expect(page.pageInfo.hasNextPage).toBe(before !== null);
      ({ startCursor: before, hasPreviousPage: more } = page.pageInfo);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    const { edges } = await jobEvents(id);
    const between = { after: edges[0]?.cursor, before: edges[4]?.cursor };
    const versions = async (page: object) =>
      (await jobEvents(id, { ...between, ...page })).nodes.map((node) => node["version"]);
    expect(await versions({})).toEqual([2, 3, 4]);
    expect(await versions({ first: 2 })).toEqual([2, 3]);
    expect(await versions({ last: 2 })).toEqual([3, 4]);
  });

  it("gives each of several pages of one job its own", async () => {
    const id = await create("PAGES_AT_ONCE");
    await run("PAGES_AT_ONCE", "complete");
    const query = `query ($id: ID!) { job(id: $id) {
      first: events(first: 1) { nodes { version } } last: events(last: 1) { nodes { version } }
      all: events(first: 3) { nodes { version } } back: events(last: 3) { nodes { version } }
    } }`;
    const pages = await ask<Record<string, Connection>>(api, member, query, { id });
    expect(Object.values(pages).map(({ nodes }) => nodes.map((node) => node["version"]))).toEqual([
      [1],
      [3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it("refuses a page out of bounds, another job's cursor, and the cursor of another kind", async () => {
    const [id, another] = [await create("REFUSED"), await create("REFUSED")];
    const { edges, eventCursor } = await jobEvents(another);
    for (const [variables, code] of [
      [{ first: 0 }, "BAD_USER_INPUT"],
      [{ first: 201 }, "BAD_USER_INPUT"],
      [{ last: 0 }, "BAD_USER_INPUT"],
      [{ last: 201 }, "BAD_USER_INPUT"],
      [{ first: 1, last: 1 }, "BAD_USER_INPUT"],
      [{ before: edges[0]?.cursor }, "INVALID_CURSOR"],
      [{ after: edges[0]?.cursor }, "INVALID_CURSOR"],
      [{ after: eventCursor }, "INVALID_CURSOR"],
    ] as const) {
      const { errors } = await send(api, JOB_EVENTS, { id, ...variables }, member.headers);
      expect(errors?.[0]?.extensions["code"]).toBe(code);
    }
  });

  it("is read with one statement for all jobs of a list", async () => {
    await create("MANY");
    await create("MANY");
    const { nodes } = await ask<{ nodes: { id: string; events: Connection; attempts: unknown[] }[] }>(
      api,
      member,
      `{ jobs(filter: {jobType: ["MANY"]}) { nodes { id events { nodes { jobId version } } attempts { attempt } } } }`,
    );
    expect(nodes.map(({ events }) => events.nodes)).toEqual(nodes.map(({ id }) => [{ jobId: id, version: 1 }]));
  });
});

describe("jobEvents", () => {
  it("lists the tenant's events as subscribers get them, in pages whose cursors resume a subscription", async () => {
    // A cursor may lie before what the cluster's open transactions hold back: this test's own events only.
    const filter = { jobType: ["LOGGED"] };
    const watcher = watch(api.wsUrl, member, { filter, after: await head() });
    const ids = [await create("LOGGED"), await create("LOGGED")];
    await ask(api, member, `mutation ($id: ID!) { deleteJob(id: $id) { deletedJobId } }`, { id: ids[0] });
    const changes = await watcher.count(3);
    watcher.stop();
    const seen: Connection["edges"] = [];
    let after: string | null = null;
    await until(async () => {
      const page: Connection = await ask(api, member, TENANT_EVENTS, { first: 2, after });
      seen.push(...page.edges);
      after = page.pageInfo.endCursor ?? after;
      return seen.filter(({ node }) => ids.includes(String(node["jobId"]))).length === 3;
    });
    const last = seen.slice(-3);
    expect(last.map(({ cursor, node }) => [cursor, node["version"], node["status"]])).toEqual(
      changes.map(({ cursor, version, status }) => [cursor, version, status]),
    );
    const resumed = watch(api.wsUrl, member, { filter, after: last[0]!.cursor });
    expect((await resumed.count(2)).map(({ cursor }) => cursor)).toEqual(last.slice(1).map(({ cursor }) => cursor));
    resumed.stop();
  });

  it("shows no other tenant's, and takes none of its cursors", async () => {
    await create("PRIVATE");
    expect(await ask<Connection>(api, other, TENANT_EVENTS)).toMatchObject({ nodes: [] });
    const { errors } = await send(api, TENANT_EVENTS, { after: await head() }, other.headers);
    expect(errors?.[0]?.extensions["code"]).toBe("INVALID_CURSOR");
  });

  it("refuses a cursor older than the events kept, and gives the head's", async () => {
    const after = await head();
    await asSuperuser("update installation set pruned_position = 9000000000000000", api.own.superuserUrl);
    const { errors } = await send(api, TENANT_EVENTS, { after }, member.headers);
    await asSuperuser("update installation set pruned_position = 0", api.own.superuserUrl);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "CURSOR_EXPIRED", headCursor: expect.any(String) });
  });
});

it("takes a job's own timeout", async () => {
  const { job } = await ask<{ job: { id: string; timeoutMs: number } }>(api, member, CREATE, {
    input: { jobType: "TIMED", timeoutMs: 1500 },
  });
  expect(job.timeoutMs).toBe(1500);
  for (const timeoutMs of [0, 604_800_001]) {
    const { errors } = await send(api, CREATE, { input: { jobType: "TIMED", timeoutMs } }, member.headers);
    expect(errors?.[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      details: [{ path: "input.timeoutMs", message: "must be a whole number, 1–604800000" }],
    });
  }
});

async function head(): Promise<string> {
  return (await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`)).eventCursor;
}
