import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSchema, isScalarType, isSpecifiedScalarType } from "graphql";
import type { TestMember } from "../support/api.js";
import { asSuperuser, useDatabase, insertJobs } from "../support/database.js";
import {
  CLIENT_NAMES,
  type ClientName,
  type DocumentedClient,
  startDocumentedClient,
} from "../support/documented-clients.js";
import { ask } from "../support/graphql.js";
import { lowPort } from "../support/low-port.js";
import { type Service, serviceMember, serviceToken, startService } from "../support/service.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

/** For the first token of each client. */
const SHORT_SECONDS = 6;
const DOWN_MS = 10_000;

const own = useDatabase();
let service: Service;
let member: TestMember;
let variables: Record<string, string>;
/** Gives tokens to the clients, as an identity provider does. */
let provider: http.Server;
const asked = new Map<string, number>();

beforeAll(async () => {
  member = await serviceMember(own);
  variables = { DATABASE_URL: own.url, ROLE: "api", PORT: String(lowPort()), CREATE_LIMIT_PER_MINUTE: "0" };
  service = await startService(variables);
  atEnd(() => service.end("SIGKILL"));
  provider = http.createServer(({ url = "" }, response) => {
    const times = (asked.get(url) ?? 0) + 1;
    asked.set(url, times);
    response.end(serviceToken(member.userId, times === 1 ? SHORT_SECONDS : 3600));
  });
  provider.listen(0, "127.0.0.1");
  await once(provider, "listening");
  atEnd(() => {
    provider.closeAllConnections();
    provider.close();
  });
});

function run(name: ClientName, eventCursor: string): DocumentedClient {
  const tokenUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/${encodeURIComponent(name)}`;
  const client = startDocumentedClient(name, { url: service.url, tenantId: member.tenantId, eventCursor, tokenUrl });
  atEnd(() => client.kill());
  return client;
}

const insert = (count: number) => insertJobs(own.database, member.tenantId, count);

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
    const started = CLIENT_NAMES.map((name) => ({ name, ...run(name, eventCursor) }));
    const allHave = (count: number) =>
      until(() => started.every(({ seen }) => seen.length >= count), {
        boundMs: 45_000,
        what: `${count} changes: ${JSON.stringify(started.map((one) => [one.name, one.seen.length, one.output()]))}`,
      });
    await insert(5);
    await allHave(5);
    await until(() => started.every(({ name }) => (asked.get(`/${encodeURIComponent(name)}`) ?? 0) >= 2));
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
    expect(started.map(({ name, seen }) => [name, seen])).toEqual(
      started.map(({ name }) => [name, [...expected, last]]),
    );
  });

  it("is told what the schema's scalars are", async () => {
    const schema = buildSchema(await readFile("schema.graphql", "utf8"));
    const scalars = Object.values(schema.getTypeMap()).filter(
      (type) => isScalarType(type) && !isSpecifiedScalarType(type),
    );
    const page = await readFile("docs/live-updates.md", "utf8");
    const told = /```yaml\nconfig:\n {2}scalars:\n((?: {4}\w+: .+\n)+)```/.exec(page)?.[1] ?? "";
    const names = [...told.matchAll(/^ {4}(\w+): /gm)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(scalars.map(({ name }) => name)));
  });
});
