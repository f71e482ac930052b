import { useApi, useMember } from "../support/api.js";

const api = useApi();
const member = useMember(api);

/** What is told of a body with such variables, which nobody asks for: only the parser sees them. */
async function sent(variables: string): Promise<[status: number, message?: string]> {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { ...member.headers, "content-type": "application/json" },
    body: `{"query":"{ __typename }","variables":{"ignored":${variables}}}`,
  });
  const { errors } = (await response.json()) as { errors?: { message: string }[] };
  return errors === undefined ? [response.status] : [response.status, errors[0]?.message ?? ""];
}

const VALUES = "A body may have 500000 values, this one has more";
const NAMES = "A body may have 50000 fields of different names, this one has more";
const LONG_NUMBERS = "A body may have 50000 numbers that no double holds, this one has more";
const many = (count: number, one: (n: number) => string) => Array.from({ length: count }, (_, n) => one(n)).join(",");
/** A name in characters that are all escaped. */
const escaped = (n: number) => n.toString(8).padStart(6, "0").replace(/[0-7]/g, (digit) => `\\${'"\\/bfnrt'[Number(digit)]}`); // prettier-ignore

it.each<[string, string, [status: number, message?: string]]>([
  ["too many numbers", `[${many(500_001, () => "1")}]`, [413, VALUES]],
  ["too many lists in each other", "[".repeat(500_001) + "]".repeat(500_001), [413, VALUES]],
  ["too many objects", `[${many(250_001, () => "{}")}]`, [413, VALUES]],
  ["too many names", `{${many(60_000, (n) => `"name${n}":1`)}}`, [413, NAMES]],
  ["too many names in objects of their own", `[${many(60_000, (n) => `{"name${n}":1}`)}]`, [413, NAMES]],
  ["too many names, escaped", `{${many(60_000, (n) => `"${escaped(n)}":1`)}}`, [413, NAMES]],
  ["too many names, with blanks before the colon", `{${many(60_000, (n) => `"name${n}" \n:1`)}}`, [413, NAMES]],
  ["too many long numbers", `[${many(50_001, () => "9007199254740993")}]`, [413, LONG_NUMBERS]],
  ["too many numbers past every range", `[${many(50_001, () => "1e400")}]`, [413, LONG_NUMBERS]],
  ["many long numbers", `[${many(50_000, () => "9007199254740993")}]`, [200]],
  ["many fractions of seventeen digits", `[${many(300_000, (n) => String(Math.SQRT2 + n))}]`, [200]],
  ["many numbers", `[${many(400_000, () => "1")}]`, [200]],
  ["the same names again and again", `[${many(100_000, () => '{"a":1,"b":2}')}]`, [200]],
  ["as many names as one input has room for", `{${many(40_000, (n) => `"n${n}":1`)},"pad":"${"x".repeat(500_000)}"}`, [200]],
  ["a text with all the signs of JSON", JSON.stringify('{"a":[1,2,\\"'.repeat(200_000)), [200]],
])("a body with %s", async (_what, variables, answer) => {
  expect(await sent(variables)).toEqual(answer);
}); // prettier-ignore

it.each(["utf-16le", "utf-7", "utf-32"])(
  "a body in %s, in which signs have other bytes, is refused",
  async (charset) => {
    const headers = { ...member.headers, "content-type": `application/json; x="charset=utf-8"; charset=${charset}` };
    for (const path of ["/graphql", "/v1/jobs"]) {
      const body = Buffer.from('{"query":"{ __typename }","jobType":"A"}', "utf16le");
      expect((await fetch(api.url + path, { method: "POST", headers, body })).status).toBe(415);
    }
  },
);

it("a body of many values has its user wait for the next, on every route", async () => {
  const busy = await api.member();
  const values = JSON.stringify({ values: Array.from({ length: 400_000 }, () => 1) });
  const post = (path: string, body: string) => fetch(api.url + path, { method: "POST", headers: busy.headers, body });
  for (const [path, body] of [
    ["/graphql", `{"query":"{ __typename }","variables":${values}}`],
    ["/v1/jobs", `{"jobType":"A","input":${values}}`],
  ] as const) {
    const begunAt = performance.now();
    const first = await post(path, body);
    await first.text();
    await post("/v1/jobs", '{"jobType":"A"}');
    // Eight hundred kilobytes, and sixteen for each value, at eight megabytes a second; it begins when the first is read.
    expect(performance.now() - begunAt).toBeGreaterThan(800);
  }
});
