import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import pg from "pg";
import { useApi, type TestMember } from "../support/api.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

const api = useApi({ databasePoolSize: 4 });
let busy: TestMember;
let other: TestMember;
beforeAll(async () => {
  [busy, other] = [await api.member(), await api.member()];
});

const QUERIES = [
  ["REST", "/v1/jobs/list", undefined],
  ["GraphQL", "/graphql", JSON.stringify({ query: "{ jobs { nodes { id } } }" })],
] as const;

describe.each(QUERIES)("over %s", (_surface, path, body) => {
  const ask = (headers: Record<string, string>, signal?: AbortSignal) =>
    fetch(api.url + path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });

  it("a user who sends hundreds of requests waits for themselves, and nobody else does", async () => {
    const lock = new pg.Client({ connectionString: api.own.superuserUrl });
    await lock.connect();
    // Whoever reads jobs waits for as long as the test likes: the user's turns stay taken.
    await lock.query("begin; lock table jobs in access exclusive mode");
    const gone = new AbortController();
    const many = Array.from({ length: 100 }, () => ask(busy.headers, gone.signal));
    many.forEach((one) => void one.catch(() => undefined));
    const waitingForLock = async () =>
      (await lock.query("select from pg_locks where not granted and relation = 'jobs'::regclass")).rowCount;
    await until(async () => (await waitingForLock()) === 2);
    const members = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: other.headers,
      body: JSON.stringify({ query: "{ viewer { userId } }" }),
    });
    expect([members.status, await waitingForLock()]).toEqual([200, 2]);
    await lock.query("commit");
    await lock.end();
    expect(new Set(await Promise.all(many.map(async (one) => (await one).status)))).toEqual(new Set([200]));
  });

  it("requests whose clients have gone give their turns back", async () => {
    for (let n = 0; n < 20; n += 1) {
      const gone = new AbortController();
      const one = ask(busy.headers, gone.signal);
      one.catch(() => undefined);
      for (let turn = 0; turn < n; turn += 1) await new Promise(setImmediate);
      gone.abort();
    }
    expect((await ask(busy.headers)).status).toBe(200);
  });
});

it("one request that asks for much at once has no more than its tenant's half of the connections", async () => {
  const lock = new pg.Client({ connectionString: api.own.superuserUrl });
  await lock.connect();
  await lock.query("begin; lock table jobs in access exclusive mode");
  const fields = Array.from({ length: 20 }, (_, n) => `a${n}: jobs(first: 1) { nodes { id } }`).join(" ");
  const much = fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: busy.headers,
    body: JSON.stringify({ query: `{ ${fields} }` }),
  });
  const waitingForLock = async () =>
    (await lock.query("select from pg_locks where not granted and relation = 'jobs'::regclass")).rowCount;
  // The pool of a test's database has ten.
  await until(async () => (await waitingForLock()) === 5);
  const members = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: other.headers,
    body: JSON.stringify({ query: "{ viewer { dailyJobs { used } } }" }),
  });
  expect([members.status, await waitingForLock()]).toEqual([200, 5]);
  await lock.query("commit");
  await lock.end();
  expect(Object.keys(((await (await much).json()) as { data: object }).data)).toHaveLength(20);
});

it("streams take no turns", async () => {
  const watchers = Array.from({ length: 5 }, () => watch(api.wsUrl, busy));
  const events = http.get(`${api.url}/v1/jobs/events`, { headers: busy.headers });
  const more = http.get(`${api.url}/v1/jobs/events`, { headers: busy.headers });
  const [[first], [second]] = (await Promise.all([once(events, "response"), once(more, "response")])) as [
    [IncomingMessage],
    [IncomingMessage],
  ];
  await until(() => api.tail.size === 7);
  expect((await fetch(`${api.url}/v1/jobs/list`, { headers: busy.headers })).status).toBe(200);
  first.destroy();
  second.destroy();
  for (const { client } of watchers) await client.dispose();
});
