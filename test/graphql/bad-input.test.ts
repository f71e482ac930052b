import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { send } from "../support/graphql.js";

const api = useApi();
const member = useMember(api);

async function stored(): Promise<number> {
  return (await asSuperuser("select 1 from jobs", api.own.superuserUrl)).length;
}

const nested = (levels: number): unknown => {
  let value: unknown = {};
  for (let level = 1; level < levels; level += 1) value = { a: value };
  return value;
};
const deep = (levels: number) => `{"a":`.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);

describe("a create that is bad", () => {
  it("is refused, names the field, and stores nothing", async () => {
    const before = await stored();
    const query = `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }`;
    const inputs: [Record<string, unknown>, number, string][] = [
      [{ jobType: " " }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: nested(65) }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: { a: "\0" } }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", input: { a: "\ud800" } }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", maxAttempts: 26 }, 200, "BAD_USER_INPUT"],
      [{ jobType: "A", priority: 1.5 }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", priority: 1e12 }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", input: [] }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", runAt: "tomorrow" }, 400, "BAD_USER_INPUT"],
      [{ jobType: null }, 400, "BAD_USER_INPUT"],
      [{ jobType: "A", surprise: 1 }, 400, "BAD_USER_INPUT"],
    ];
    for (const [input, status, code] of inputs) {
      const answer = await send(api, query, { input }, member.headers);
      expect([input, answer.status, answer.errors?.[0]?.extensions["code"]]).toEqual([input, status, code]);
    }
    const named = await send(api, query, { input: { jobType: "A", maxAttempts: 26 } }, member.headers);
    expect(named.errors?.[0]?.extensions["details"]).toEqual([
      { path: "input.maxAttempts", message: "must be a whole number, 1–25" },
    ]);
    const deepVariables = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: member.headers,
      body: `{"query":${JSON.stringify(query)},"variables":{"input":{"jobType":"A","input":${deep(10_000)}}}}`,
    });
    expect(deepVariables.status).toBeLessThan(500);
    expect(await stored()).toBe(before);
  });
});

describe("a bad request", () => {
  it.each([
    ["no query", `{}`, "application/json", 400],
    ["unparsable JSON", `{"query"`, "application/json", 400],
    ["a syntax error", `{"query":"{"}`, "application/graphql-response+json", 400],
    ["a syntax error, for a client of the old media type", `{"query":"{"}`, "application/json", 200],
    ["an unknown field", `{"query":"{ nothing }"}`, "*/*", 400],
    [
      "a condition at a subscription's root",
      `{"query":"subscription ($a: Boolean!) { ...f } fragment f on Subscription { ... @include(if: $a) { jobStatusChanged { jobId } } }"}`,
      "*/*",
      400,
    ],
    ["a persisted query's hash", `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"a"}}}`, "*/*", 200],
    ["10,000 levels", JSON.stringify({ query: "{a".repeat(10_000) + "}".repeat(10_000) }), "*/*", 400],
    ["10,000 levels of a list", JSON.stringify({ query: `{ job(id: ${"[".repeat(10_000)}` }), "*/*", 400],
    [
      "51 root fields",
      JSON.stringify({ query: `{ ${Array.from({ length: 51 }, (_, n) => `a${n}: __typename`).join(" ")} }` }),
      "*/*",
      400,
    ],
  ])("with %s is refused (%#)", async (_what, body, accept, status) => {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { ...member.headers, accept },
      body,
    });
    expect(response.status).toBe(status);
    const { errors } = (await response.json()) as { errors: { extensions: { code: string; requestId: string } }[] };
    expect(errors[0]?.extensions.code).not.toBe("INTERNAL_SERVER_ERROR");
    expect(errors[0]?.extensions.requestId).toBe(response.headers.get("x-request-id"));
  });

  it.each([
    [`{ jobs(first: 0) { totalCount } }`, "first must be 1–200, got 0"],
    [`{ jobs(first: 201) { totalCount } }`, "first must be 1–200, got 201"],
    [`{ jobs(first: 1, last: 1) { totalCount } }`, "last must not be given together with first"],
    [
      `{ jobs(filter: {jobType: [${'"a",'.repeat(101)}]}) { totalCount } }`,
      "filter.jobType must name at most 100, got 101",
    ],
    [
      `{ jobs(filter: {createdAfter: "0000-01-01T00:00:00Z"}) { nodes { id } } }`,
      "filter.createdAfter must be in the years 1–9999 (UTC)",
    ],
    [
      `{ jobs(filter: {createdBefore: "9999-12-31T23:59:59-23:59"}) { totalCount } }`,
      "filter.createdBefore must be in the years 1–9999 (UTC)",
    ],
  ])("names the bound: %s", async (query, message) => {
    const { errors } = await send(api, query, {}, member.headers);
    expect(errors?.[0]).toMatchObject({ message, extensions: { code: "BAD_USER_INPUT" } });
  });

  it.each([
    ["a NUL", "a\0", "filter.jobType must not contain the NUL character"],
    ["a lone surrogate", "a\ud800", "filter.jobType must not contain a lone surrogate"],
  ])("refuses %s in a filter", async (_what, jobType, message) => {
    const query = `query ($filter: JobFilter) { jobs(filter: $filter) { totalCount } }`;
    const { errors } = await send(api, query, { filter: { jobType: ["A", jobType] } }, member.headers);
    expect(errors?.[0]).toMatchObject({ message, extensions: { code: "BAD_USER_INPUT" } });
  });

  it("refuses a page cursor that is an event's, or another tenant's", async () => {
    const other = await api.member();
    await send(api, `mutation { createJob(input: {jobType: "A"}) { job { id } } }`, {}, member.headers);
    const { data } = await send(api, `{ jobs(first: 1) { eventCursor pageInfo { endCursor } } }`, {}, member.headers);
    const { eventCursor, pageInfo } = data!["jobs"] as { eventCursor: string; pageInfo: { endCursor: string } };
    const page = `query ($after: String) { jobs(after: $after) { totalCount } }`;
    for (const [after, who] of [
      [eventCursor, member],
      [pageInfo.endCursor, other],
      ["x", member],
    ] as const) {
      expect((await send(api, page, { after }, who.headers)).errors?.[0]?.extensions["code"]).toBe("INVALID_CURSOR");
    }
  });
});
