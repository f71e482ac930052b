import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSchema, isScalarType, isSpecifiedScalarType } from "graphql";
import type { TestMember } from "../support/api.js";
import { asSuperuser, createTestDatabase, SYSTEM, type TestDatabase } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { lowPort } from "../support/low-port.js";
import { type Service, serviceMember, serviceToken, startService } from "../support/service.js";
import { until } from "../support/until.js";

const page = await readFile("docs/live-updates.md", "utf8");
const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
const blockWith = (text: string): string => {
  const found = blocks.find((block) => block.includes(text));
  if (found === undefined) throw new Error(`docs/live-updates.md has no block with ${text}`);
  return found;
};
const base = blockWith('from "graphql-ws"');
const CLIENTS = {
  "graphql-ws": blockWith("live.subscribe(\n"),
  "Apollo Client": blockWith('from "@apollo/client"'),
  urql: blockWith('from "@urql/core"'),
};
type Name = keyof typeof CLIENTS;

/** For the first token of each client. */
const SHORT_SECONDS = 6;
const DOWN_MS = 10_000;

let own: TestDatabase;
let service: Service;
let member: TestMember;
let variables: Record<string, string>;
/** Gives tokens to the clients, as an identity provider does. */
let provider: http.Server;
const asked = new Map<string, number>();
const children: ChildProcess[] = [];

beforeAll(async () => {
  own = await createTestDatabase();
  member = await serviceMember(own);
  variables = { DATABASE_URL: own.url, ROLE: "api", PORT: String(lowPort()), CREATE_LIMIT_PER_MINUTE: "0" };
  service = await startService(variables);
  provider = http.createServer(({ url = "" }, response) => {
    const times = (asked.get(url) ?? 0) + 1;
    asked.set(url, times);
    response.end(serviceToken(member.userId, times === 1 ? SHORT_SECONDS : 3600));
  });
  provider.listen(0, "127.0.0.1");
  await once(provider, "listening");
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await service.end("SIGKILL");
  provider.closeAllConnections();
  provider.close();
  await own.drop();
});

/** Runs a client as the page has it, in a process of its own. */
function run(name: Name, eventCursor: string): { seen: string[]; output(): string } {
  const tokens = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/${encodeURIComponent(name)}`;
  const given = `
    const tenantId = "${member.tenantId}";
    const eventCursor = "${eventCursor}";
    const getToken = async () => (await fetch("${tokens}")).text();
    const show = ({ jobId, version }) => console.log(jobId, version);`;
  const script = [given, base, CLIENTS[name]].join("\n").replaceAll("127.0.0.1:8787", new URL(service.url).host);
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const seen: string[] = [];
  let output = "";
  let line = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (line + chunk).split("\n");
    line = lines.pop() ?? "";
    seen.push(...lines);
  });
  child.once("exit", (code) => (output += `ended with ${code}`));
  return { seen, output: () => output };
}

const insert = (count: number) =>
  own.database.transaction(SYSTEM, (tx) =>
    tx.query("insert into jobs (tenant_id, job_type) select $1, 'A' from generate_series(1, $2::int)", [
      member.tenantId,
      count,
    ]),
  );

async function logged(): Promise<string[]> {
  const rows = (await asSuperuser(
    "select job_id, version from job_events order by position, id",
    own.superuserUrl,
  )) as { job_id: string; version: number }[];
  return rows.map((row) => `${row.job_id} ${row.version}`);
}

describe("a client that is copied from the documentation", () => {
  it("gives every change once, across a token that expires and a service that is away for ten seconds", async () => {
    await insert(3);
    const { eventCursor } = await ask<{ eventCursor: string }>(service, member, `{ jobs { eventCursor } }`);
    const before = await logged();
    const clients = (Object.keys(CLIENTS) as Name[]).map((name) => ({ name, ...run(name, eventCursor) }));
    const allHave = (count: number) =>
      until(() => clients.every(({ seen }) => seen.length >= count), {
        boundMs: 45_000,
        what: `${count} changes: ${JSON.stringify(clients.map((one) => [one.name, one.seen.length, one.output()]))}`,
      });
    await insert(5);
    await allHave(5);
    await until(() => clients.every(({ name }) => (asked.get(`/${encodeURIComponent(name)}`) ?? 0) >= 2));
    await insert(5);
    await allHave(10);

    await service.end("SIGTERM");
    await insert(5);
    await sleep(DOWN_MS);
    service = await startService(variables);
    await insert(5);
    await allHave(20);
    const expected = (await logged()).slice(before.length);
    // What would come again has come by the time that one more change has.
    await insert(1);
    await allHave(21);
    const last = (await logged()).at(-1);
    expect(clients.map(({ name, seen }) => [name, seen])).toEqual(
      clients.map(({ name }) => [name, [...expected, last]]),
    );
  });

  it("is told what the schema's scalars are", async () => {
    const schema = buildSchema(await readFile("schema.graphql", "utf8"));
    const scalars = Object.values(schema.getTypeMap()).filter(
      (type) => isScalarType(type) && !isSpecifiedScalarType(type),
    );
    const told = /```yaml\nconfig:\n {2}scalars:\n((?: {4}\w+: .+\n)+)```/.exec(page)?.[1] ?? "";
    const names = [...told.matchAll(/^ {4}(\w+): /gm)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(scalars.map(({ name }) => name)));
  });
});
