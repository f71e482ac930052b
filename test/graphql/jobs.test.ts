import { runInThisContext } from "node:vm";
import { createClient } from "graphql-ws";
import { startApi, useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask, send } from "../support/graphql.js";

interface Page {
  nodes: { id: string; priority: number; createdAt: string }[];
  totalCount: number;
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

const PAGE = `query ($filter: JobFilter, $first: Int, $after: String, $last: Int, $before: String) {
  jobs(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    nodes { id priority createdAt } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

const api = useApi();
const member = useMember(api);
beforeAll(async () => {
  // Forty jobs, ten of them in the same millisecond at each of two priorities.
  await asSuperuser(
    `insert into jobs (tenant_id, job_type, priority, created_at)
     select '${member.tenantId}', 'T' || n % 3, n % 2, timestamptz '2026-01-01' + least(n, 20) * interval '1 second'
     from generate_series(1, 40) n`,
    api.own.superuserUrl,
  );
});

const page = (variables: Record<string, unknown>) => ask<Page>(api, member, PAGE, variables);

async function walk(size: number, forward: boolean): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = null; ;) {
    const variables: Record<string, unknown> = forward
      ? { first: size, after: cursor }
      : { last: size, before: cursor };
    const { nodes, pageInfo } = await page(variables);
    const found = nodes.map(({ id }) => id);
    ids.splice(forward ? ids.length : 0, 0, ...found);
    if (!(forward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return ids;
    cursor = forward ? pageInfo.endCursor : pageInfo.startCursor;
  }
}

describe("jobs", () => {
  it.each([1, 3, 7, 40, 200])("neither skips nor repeats in pages of %i, forward and backward", async (size) => {
    const { nodes } = await page({ first: 200 });
    const order = nodes.map(({ id }) => id);
    expect(new Set(order).size).toBe(40);
    expect(await walk(size, true)).toEqual(order);
    expect(await walk(size, false)).toEqual(order);
  });

  it("orders by priority, then newest, then id", async () => {
    const { nodes } = await page({ first: 200 });
    const sorted = nodes.toSorted(
      (a, b) => b.priority - a.priority || b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id),
    );
    expect(nodes).toEqual(sorted);
  });

  it.each([
    ["a type", { jobType: ["T1"] }, 14],
    ["types and a status", { jobType: ["T1", "T2"], status: ["QUEUED"] }, 27],
    ["a status nobody has", { status: ["FAILED"] }, 0],
    ["instants", { createdAfter: "2026-01-01T00:00:05Z", createdBefore: "2026-01-01T00:00:10Z" }, 4],
    ["nulls, which do not restrict", { jobType: null, status: null, createdAfter: null }, 40],
    ["an empty list, which nothing is in", { jobType: [] }, 0],
  ])("filters by %s, and counts what passes", async (_what, filter, count) => {
    const { nodes, totalCount } = await page({ filter, first: 200 });
    expect([nodes.length, totalCount]).toEqual([count, count]);
  });

  it("has 50 a page by default", async () => {
    await ask(api, member, `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`, {
      input: Array.from({ length: 20 }, () => ({ jobType: "MORE" })),
    });
    expect((await page({})).nodes).toHaveLength(50);
  });

  it("keeps the order of createJobs, and creates all or none", async () => {
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { priority } } }`;
    const input = [5, 1, 4].map((priority) => ({ jobType: "ORDER", priority }));
    expect(await ask(api, member, many, { input })).toEqual({
      jobs: [{ priority: 5 }, { priority: 1 }, { priority: 4 }],
    });
    const bad = [...input, { jobType: "ORDER", maxAttempts: 0 }];
    const { errors } = await send(api, many, { input: bad }, member.headers);
    expect(errors?.[0]?.extensions["details"]).toEqual([
      { path: "input.3.maxAttempts", message: "must be a whole number, 1–25" },
    ]);
    expect((await page({ filter: { jobType: ["ORDER"] } })).totalCount).toBe(3);
    for (const count of [0, 1001]) {
      const refused = await send(api, many, { input: Array.from({ length: count }, () => input[0]) }, member.headers);
      expect(refused.errors?.[0]?.message).toBe(`input must be 1–1000 jobs, got ${count}`);
    }
  });

  it("answers an unknown job with null", async () => {
    expect(await ask(api, member, `{ job(id: "99999999-9999-4999-8999-999999999999") { id } }`)).toBeNull();
  });
});

describe("the schema's own questions", () => {
  it.each([["{ __typename }"], ["{ __schema { queryType { name } } }"], [`query Q { __type(name: "Job") { name } }`]])(
    "need no token outside production: %s",
    async (query) => {
      expect((await send(api, query)).status).toBe(200);
    },
  );

  it("need one in production, and beside anything else", async () => {
    const production = await startApi({ production: true }, api.own);
    expect((await send(production, "{ __typename }")).status).toBe(401);
    expect((await send(production, "{ __typename }", {}, member.headers)).status).toBe(200);
    expect((await send(api, "{ __typename viewer { userId } }")).status).toBe(401);
  });
});

describe("GraphiQL", () => {
  it("is one page for a browser, under a policy that admits its own scripts alone", async () => {
    const response = await fetch(`${api.url}/graphql`, { headers: { accept: "text/html" } });
    const policy = response.headers.get("content-security-policy") ?? "";
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^']+';/);
    expect(policy).not.toContain("http");
    const html = await response.text();
    expect(html).not.toMatch(/<(script|link)[^>]+(src|href)="(?!data:)/);
  });

  it.each([
    ["a token", {}, /^No token, or not a good one: put \{"Authorization": "Bearer \.\.\."/],
    ["a tenant", { authorization: true }, /^The socket was closed: Name the tenant in x-tenant-id \(4400\)$/],
  ])("says what is wrong when a subscription lacks %s", async (_what, given, words) => {
    const html = await (await fetch(`${api.url}/graphql`, { headers: { accept: "text/html" } })).text();
    // The page's own code, as far as it can run without a browser, on the stream that its executor's client gives it.
    const [, code = ""] = /return\((async function withCloseInWords[\s\S]*?)\)\(\w+\(\{document:/.exec(html) ?? [];
    const inWords = runInThisContext(`(${code})`) as (answer: unknown) => Promise<AsyncIterableIterator<unknown>>;
    const { authorization } = (await api.member()).headers;
    const client = createClient({
      url: api.wsUrl,
      connectionParams: "authorization" in given ? { authorization } : {},
    });
    const stream = await inWords(client.iterate({ query: "subscription { jobStatusChanged { jobId } }" }));
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toEqual({ message: expect.stringMatching(words) });
    expect(await inWords(Promise.resolve({ data: null }))).toEqual({ data: null });
  });
});
