import { useApi } from "../support/api.js";

type Probe = (passport: Record<string, string>) => Promise<Response>;

const api = useApi({ production: true });
let passport: Record<string, string>;
beforeAll(async () => {
  const { token, tenantId } = await api.member();
  passport = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId };
});

const request: (init: RequestInit, search?: string) => Probe = (init, search = "") => {
  return (headers) => {
    const own = init.headers as Record<string, string> | undefined;
    return fetch(`${api.url}/graphql${search}`, { ...init, headers: { ...own, ...headers } });
  };
};
const post = (body: object): Probe =>
  request({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const ask = (query: string): Probe => post({ query, operationName: "cop" });
const link = (query: string): Probe => request({}, `?${new URLSearchParams({ query }).toString()}`);
const form = (query: string): Probe => request({ method: "POST", body: new URLSearchParams({ query }) });
const browse = request({ headers: { accept: "text/html" } });

const times = (count: number, part: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => part(n)).join(" ");
const circle = `${"fields { type { ".repeat(4)} name ${"} } ".repeat(4)}`;

const TOO_COMPLEX = "400 QUERY_TOO_COMPLEX";
const INVALID = "400 GRAPHQL_VALIDATION_FAILED";
const BLOCKED = "400 BAD_REQUEST";

/** What graphql-cop sends (and, where it looks at the root alone, the same below it), and what a member may be told. */
const CHECKS: [what: string, probe: Probe, told: string[]][] = [
  ["101 aliases", ask(`query cop { ${times(101, (n) => `a${n}: __typename`)} }`), [TOO_COMPLEX]],
  ["101 aliases below the root", ask(`query cop { viewer { ${times(101, (n) => `a${n}: userId`)} } }`), [TOO_COMPLEX]],
  ["one field 500 times", ask(`query cop { ${times(500, () => "__typename")} }`), [TOO_COMPLEX]],
  ["one field 500 times below the root", ask(`query cop { viewer { ${times(500, () => "userId")} } }`), [TOO_COMPLEX]],
  ["an unknown directive ten times", ask(`query cop { __typename ${"@aa".repeat(10)} }`), [TOO_COMPLEX, INVALID]],
  ["a directive ten times", ask(`query cop { __typename ${"@skip(if: false)".repeat(10)} }`), [TOO_COMPLEX, INVALID]],
  ["introspection in a circle", ask(`query cop { __schema { types { ${circle} } } }`), [TOO_COMPLEX, INVALID]],
  ["a batch of ten", post(Array.from({ length: 10 }, () => ({ query: "query cop { __typename }" }))), [BLOCKED]],
  // With a header that no link can carry; without one, a stranger's.
  ["a query in a link", link("query cop { __typename }"), ["200"]],
  ["a mutation in a link", link("mutation cop { __typename }"), ["405 BAD_REQUEST"]],
  ["a query in a form", form("query cop { __typename }"), ["415 UNSUPPORTED_MEDIA_TYPE"]],
  ["a browser in search of an editor", browse, ["406 BAD_REQUEST"]],
  ["a field that almost exists", ask("query cop { __schema { directive } }"), [INVALID]],
  ["what is no document", ask("qwerty cop { abc }"), ["400 GRAPHQL_PARSE_FAILED"]],
  ["a plain query", ask("query cop { __typename }"), ["200"]],
  ["introspection", ask("query cop { __schema { types { name fields { name } } } }"), ["200"]],
];

/** Status and code of an answer, of which nothing may give more away than it says. */
async function verdictOn(probe: Probe, headers: Record<string, string>): Promise<string> {
  const response = await probe(headers);
  expect(response.headers.get("content-type")).toMatch(/^application\/(graphql-response\+)?json\b/);
  const text = await response.text();
  expect(text).not.toMatch(/did you mean|"tracing"|"exception"|"stacktrace"/i);
  const { data, errors = [] } = JSON.parse(text) as { data?: object; errors?: { extensions: { code: string } }[] };
  expect(data === undefined).toBe(errors.length > 0);
  // graphql-cop takes an error for each of ten directives as the sign that nothing bounds them.
  expect(errors.length).toBeLessThan(10);
  return [response.status, ...errors.slice(0, 1).map(({ extensions }) => extensions.code)].join(" ");
}

describe("a check of graphql-cop, in production", () => {
  it.each(CHECKS)("finds nothing without a token: %s", async (_what, probe) => {
    // The media type is looked at before the token.
    expect(["401 UNAUTHENTICATED", "415 UNSUPPORTED_MEDIA_TYPE"]).toContain(await verdictOn(probe, {}));
  });

  it.each(CHECKS)("gets what it should from a member: %s", async (_what, probe, told) => {
    expect(told).toContain(await verdictOn(probe, passport));
  });
});
