import { useApi, useMember } from "../support/api.js";
import { send } from "../support/graphql.js";
import { socketOf } from "../support/watch.js";

const api = useApi();
const member = useMember(api);

const many = (count: number, one: (n: number) => string) => Array.from({ length: count }, (_, n) => one(n)).join(" ");

describe("the cost of an operation", () => {
  const costOf = async (query: string, variables: Record<string, unknown> = {}) =>
    Number((await send(api, query, variables, member.headers)).headers.get("x-query-cost"));

  it.each([
    ["{ __typename }", 0],
    ["{ viewer { userId dailyJobs { used } } }", 1],
    ["{ jobs { eventCursor } }", 51],
    ["{ jobs(first: 200) { nodes { id } } }", 201],
    ["{ jobs(last: 10, before: null) { nodes { id input output error { code } } } }", 31],
    ["{ jobs(first: 10) { edges { cursor node { id } } nodes { id } pageInfo { hasNextPage } totalCount } }", 31],
    ["{ jobs(first: 10) { nodes { events(first: 20) { nodes { actor { id } } } attempts { attempt } } } }", 321],
    ["{ jobs(first: 10) { nodes { ...more } } } fragment more on Job { events(first: 20) { nodes { version } } }", 221],
    ["{ jobs(first: 10) { nodes { id events(first: 20) @skip(if: true) { nodes { version } } } } }", 11],
  ])("counts rows, pages multiplied: %s", async (query, cost) => {
    expect(await costOf(query)).toBe(cost);
  });

  it("tells the cost also where no media type that the client accepts can be answered", async () => {
    const { status, headers } = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { ...member.headers, accept: "image/png" },
      body: JSON.stringify({ query: "{ viewer { userId } }" }),
    });
    expect([status, headers.get("x-query-cost")]).toEqual([406, "0"]);
  });

  it("takes page sizes and lists from the variables", async () => {
    expect(await costOf("query ($n: Int) { jobs(first: $n) { nodes { id } } }", { n: 7 })).toBe(8);
    const create = "mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id input } } }";
    expect(await costOf(create, { input: Array.from({ length: 9 }, () => ({ jobType: "A" })) })).toBe(18);
  });

  it("allows what a client asks of a thousand jobs created at once", async () => {
    const create = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { eventCursor jobs { id jobType status
      priority input output error { code } attempt maxAttempts runAt startedAt finishedAt createdAt updatedAt version } } }`;
    const other = await api.member();
    const input = Array.from({ length: 1_000 }, () => ({ jobType: "A" }));
    const { errors, headers } = await send(api, create, { input }, other.headers);
    expect([errors, headers.get("x-query-cost"), headers.get("x-query-cost-remaining")]).toEqual([undefined, "3000", "7000"]); // prettier-ignore
  });

  const COSTLY = "{ jobs(first: 200) { nodes { events(first: 200) { nodes { version } } } } }";

  it("is refused over the limit, with cost and limit, before anything runs", async () => {
    expect(await send(api, COSTLY, {}, member.headers)).toMatchObject({
      status: 400,
      errors: [
        {
          message: "An operation may cost 5000, this one costs 40401",
          extensions: { code: "QUERY_TOO_COMPLEX", cost: 40_401, limit: 5_000 },
        },
      ],
    });
  });

  it("of a subscription is what one change costs", async () => {
    const client = socketOf(api.wsUrl, member);
    const refused = new Promise<unknown>((resolve) => {
      const query = "subscription { jobStatusChanged { job { a: events(first: 200) { nodes { version } } events(first: 200) { edges { cursor } nodes { version } } } } }";
      client.subscribe({ query }, { next: resolve, error: resolve, complete: () => undefined });
    }); // prettier-ignore
    expect(await refused).toEqual([
      expect.objectContaining({ extensions: expect.objectContaining({ code: "QUERY_TOO_COMPLEX", cost: 603, limit: 500 }) }),
    ]); // prettier-ignore
    await client.dispose();
  });

  it("is limited by the second for each user, and light operations go through all the same", async () => {
    const [busy, other] = [await api.member(), await api.member()];
    const heavy = "{ jobs(first: 200) { nodes { events(first: 20) { nodes { version } } } } }";
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(api, heavy, {}, busy.headers)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    expect(refused[0]?.errors?.[0]?.extensions).toMatchObject({ code: "RATE_LIMITED", cost: 4_401, limit: 10_000 });
    expect((await send(api, "{ jobs(first: 1) { nodes { id } } }", {}, busy.headers)).status).toBe(200);
    expect((await send(api, heavy, {}, other.headers)).status).toBe(200);
  });

  it("of introspection counts too: once is fine, over and over in itself is not", async () => {
    const { getIntrospectionQuery } = await import("graphql");
    expect((await send(api, getIntrospectionQuery(), {}, member.headers)).status).toBe(200);
    const types = "{ types { fields { type { fields { name } } } } }";
    const twice = await send(api, `{ __schema ${types} }`, {}, member.headers);
    expect(twice.errors?.[0]?.extensions["code"]).toBe("QUERY_TOO_COMPLEX");
    // Nobody's, too.
    expect((await send(api, `{ __schema ${types} }`)).errors?.[0]?.extensions["code"]).toBe("QUERY_TOO_COMPLEX");
  });

  it("cannot be hidden in fragments: neither by doubling nor by a long chain", async () => {
    const doubled = many(40, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`);
    const chain = many(90, (n) => `fragment C${n} on Query { ...C${n + 1} }`);
    const fans = many(150, () => `... on Query { ...C0 }`);
    for (const query of [
      `{ ...F0 } ${doubled} fragment F40 on Query { __typename }`,
      `{ ${fans} } ${chain} fragment C90 on Query { __typename }`,
    ]) {
      const { errors } = await send(api, query, {}, member.headers);
      expect(errors?.[0]?.extensions["code"]).toBe("QUERY_TOO_COMPLEX");
    }
  });
});

describe("what would get around the limits", () => {
  it("an argument that fails before it is counted does not: its fault is told", async () => {
    const query = `query ($id: ID = "x") { bad: job(id: $id) { id } jobs(first: 200) { nodes { events(first: 200) { nodes { jobId } } } } }`;
    const answer = await send(api, query, { id: null }, member.headers);
    expect(answer).toMatchObject({ status: 400, errors: [{ extensions: { code: "BAD_USER_INPUT" } }] });
  });

  it("selections nested in selections do not: neither in place nor by fragments", async () => {
    const deep = (levels: number) => `${"... { ".repeat(levels)} __typename ${"} ".repeat(levels)}`;
    const chain = many(90, (n) => `fragment F${n} on Query { ${"... { ".repeat(4)} ...F${n + 1} ${"} ".repeat(4)} }`);
    for (const query of [`{ ${deep(51)} }`, `{ ${deep(2_000)} }`, `{ ...F0 } ${chain} fragment F90 on Query { __typename }`]) {
      const { status, errors } = await send(api, query, {}, member.headers);
      expect([status, errors?.[0]?.extensions["code"]]).toEqual([400, "QUERY_TOO_COMPLEX"]);
    } // prettier-ignore
    expect((await send(api, `{ ${deep(40)} }`, {}, member.headers)).data).toEqual({ __typename: "Query" });
  });

  it("a thousand parameters before the query's do not", async () => {
    const query = encodeURIComponent(`{ ${many(60, (n) => `a${n}: __typename`)} }`);
    const headers = { ...member.headers, "apollo-require-preflight": "1" };
    const response = await fetch(`${api.url}/graphql?${"a&".repeat(1_000)}query=${query}`, { headers });
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect([response.status, errors[0]?.extensions.code]).toEqual([400, "QUERY_TOO_COMPLEX"]);
  });

  it("fifty counts by scan do not", async () => {
    const scans = many(
      50,
      (n) => `a${n}: jobs(first: 1, filter: {createdAfter: "2026-01-01T00:00:00Z"}) { totalCount }`,
    );
    const { errors } = await send(api, `{ ${scans} }`, {}, member.headers);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "QUERY_TOO_COMPLEX", cost: 10_100 });
  });
});

it("a document may have a hundred operations and fragments", async () => {
  const query = (count: number) => `query Q { __typename } ${many(count, (n) => `query Q${n} { __typename }`)}`;
  const ask = (count: number) => {
    const body = JSON.stringify({ query: query(count), operationName: "Q" });
    return fetch(`${api.url}/graphql`, { method: "POST", headers: { ...member.headers, "content-type": "application/json" }, body });
  }; // prettier-ignore
  expect([(await ask(99)).status, (await ask(100)).status]).toEqual([200, 400]);
});

describe("variables", () => {
  const JOBS = "query ($filter: JobFilter, $after: String) { jobs(filter: $filter, after: $after) { totalCount } }";
  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, 1]));
  const VALUES = /20000 values/;
  const CHARACTERS = /1048576 characters/;

  it.each<[string, string, Record<string, unknown>, RegExp]>([
    ["a long list", JOBS, { filter: { jobType: Array.from({ length: 20_001 }, () => "A") } }, VALUES],
    ["many unknown fields", JOBS, { filter: fields(40_000) }, VALUES],
    ["many fields where a text is expected", JOBS, { after: fields(40_000) }, VALUES],
    ["lists where a text is expected", JOBS, { after: Array.from({ length: 200 }, () => fields(200)) }, VALUES],
    ["a list of a single value's fields", "mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { eventCursor } }", { input: fields(40_000) }, VALUES],
    ["a long name", JOBS, { filter: { ["x".repeat(2_000_000)]: 1 } }, CHARACTERS],
    ["values in each other", JOBS, { filter: JSON.parse("[".repeat(100) + "]".repeat(100)) as unknown }, /64 levels/],
    ["a long text", JOBS, { after: "x".repeat(2_000_000) }, CHARACTERS],
  ])("are refused with %s, before they are coerced", async (_what, query, variables, message) => {
    const { status, errors } = await send(api, query, variables, member.headers);
    expect([status, errors?.length]).toEqual([400, 1]);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(message) as string,
      extensions: { code: "BAD_USER_INPUT" },
    });
  }); // prettier-ignore

  const CREATES = (uses: number) =>
    `mutation ($j: CreateJobInput!) { createJobs(input: [${"$j ".repeat(uses)}]) { eventCursor } }`;
  const TEXTS = (uses: number) =>
    `query ($s: String!) { jobs(filter: { jobType: [${"$s ".repeat(uses)}] }) { totalCount } }`;
  const SPREAD = `query ($s: String!) { ${many(40, () => "... { ...F }")} } fragment F on Query { jobs(filter: { jobType: [$s] }) { totalCount } }`;
  it.each<[string, string, Record<string, unknown>, RegExp]>([
    ["many values in an input", CREATES(10), { j: { jobType: "A", input: { a: Array.from({ length: 100_000 }, () => 1) } } }, /500000 values/],
    ["a long text in an input", CREATES(100), { j: { jobType: "A", input: { a: "x".repeat(200_000) } } }, /8388608 characters/],
    ["a long name in an input", CREATES(100), { j: { jobType: "A", input: { ["x".repeat(200_000)]: 1 } } }, /8388608 characters/],
    ["a long text", TEXTS(100), { s: "x".repeat(200_000) }, /8388608 characters/],
    ["a long text in JSON", `mutation ($x: JSON) { createJob(input: { jobType: "A", input: { a: [${"$x ".repeat(100)}] } }) { eventCursor } }`, { x: "x".repeat(200_000) }, /8388608 characters/],
    ["a long text in fragments", SPREAD, { s: "x".repeat(250_000) }, /8388608 characters/],
  ])("count wherever they are used: %s", async (_what, query, variables, message) => {
    const { status, errors } = await send(api, query, variables, member.headers);
    expect([status, errors?.length]).toEqual([400, 1]);
    expect(errors?.[0]?.message).toMatch(message);
  }); // prettier-ignore

  it("may be used a thousand times when they are small", async () => {
    const other = await api.member();
    const { errors } = await send(api, CREATES(1_000), { j: { jobType: "A", input: { a: "x".repeat(1_000) } } }, other.headers);
    expect(errors).toBeUndefined();
  }); // prettier-ignore

  it("are refused on a socket likewise, which lives on", async () => {
    const client = socketOf(api.wsUrl, member);
    const query = "subscription ($filter: JobStatusChangeFilter) { jobStatusChanged(filter: $filter) { version } }";
    const refusalOf = (jobType: string[]) =>
      new Promise<unknown>((resolve) => {
        const sink = { next: resolve, error: resolve, complete: () => undefined };
        client.subscribe({ query, variables: { filter: { jobType } } }, sink);
      });
    const told = (message: RegExp) => [expect.objectContaining({ message: expect.stringMatching(message) as string })];
    expect(await refusalOf(Array.from({ length: 20_001 }, () => ""))).toEqual(told(VALUES));
    expect(await refusalOf(Array.from({ length: 101 }, () => "A"))).toEqual({ errors: told(/at most 100/) });
    await client.dispose();
  });

  it("may have JSON that is larger, which has bounds of its own", async () => {
    const create = "mutation ($input: CreateJobInput!) { createJob(input: $input) { job { input } } }";
    const values = Array.from({ length: 100_000 }, () => 1);
    const created = await send(api, create, { input: { jobType: "A", input: { values } } }, member.headers);
    expect(created).toMatchObject({ status: 200, data: { createJob: { job: { input: { values } } } } });
    const text = "x".repeat(2_000_000);
    const refused = await send(api, create, { input: { jobType: "A", input: { text } } }, member.headers);
    expect(refused.errors?.[0]?.message).toBe("input.input must be at most 262144 bytes as JSON, got 2000011");
    const more = { values: [...values, ...values] };
    const endless = await send(api, create, { input: { jobType: "A", input: more } }, member.headers);
    expect(endless.errors?.[0]?.message).toBe("input.input must be at most 262144 bytes as JSON, got more");
  });
});

describe("GraphQL's own errors", () => {
  it("of variables are told ten at most", async () => {
    const query = "query ($filter: JobFilter) { jobs(filter: $filter) { totalCount } }";
    const filter = { status: Array.from({ length: 60 }, (_, n) => `S${n}`) };
    const { status, errors } = await send(api, query, { filter }, member.headers);
    expect(status).toBe(400);
    expect(errors?.length).toBeLessThanOrEqual(11);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ["a document", `{ ${"x".repeat(100_000)} }`, {}],
    ["a value", "query ($id: ID!) { job(id: $id) { id } }", { id: { ["x".repeat(100_000)]: 1 } }],
  ])("do not quote all of %s", async (_what, query, variables) => {
    const { status, errors } = await send(api, query, variables, member.headers);
    expect([status, errors?.[0]?.message.length]).toEqual([400, 1_001]);
  });
});
