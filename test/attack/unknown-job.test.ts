import { randomUUID } from "node:crypto";
import pg from "pg";
import { createSchema } from "../../src/graphql/api/schema.js";
import { useApi } from "../support/api.js";
import { attackPoints, documentFor, rootFields } from "./documents.js";
import { exchange } from "./exchange.js";
import type { Request } from "./routes.js";
import type { World } from "./rows.js";
import { ROUTES } from "./verdicts.js";
import { createWorld, fillFor } from "./world.js";

const schema = await createSchema();

const api = useApi();
let world: World;
beforeAll(async () => {
  world = await createWorld(api);
});

/** What the service does by itself now and then, whoever asks: no part of an answer. */
const OWN_WORK = /\/\* (feed\.lag|feed\.holders|hints\.)/;

/** The text of every statement sent to PostgreSQL for a request while `work` runs. */
async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const transactions: { client: pg.Client; statements: string[] }[] = [];
  const { query } = pg.Client.prototype;
  const noting = function (this: pg.Client, ...args: unknown[]): unknown {
    const [asked] = args as [string | { text: string }];
    const statement = typeof asked === "string" ? asked : asked.text;
    const open = transactions.findLast(({ client }) => client === this);
    if (open === undefined || statement.startsWith("begin"))
      transactions.push({ client: this, statements: [statement] });
    else open.statements.push(statement);
    return Reflect.apply(query, this, args);
  };
  pg.Client.prototype.query = noting as typeof query;
  await work();
  pg.Client.prototype.query = query;
  // Of what the service does by itself, a part alone may have been seen, which does not name it. A request's is over by its answer.
  const whole = transactions.filter(
    ({ statements }) => statements[0]?.startsWith("begin") && /^(commit|rollback)/.test(statements.at(-1) ?? ""),
  );
  return whole.flatMap(({ statements }) => (statements.some((one) => OWN_WORK.test(one)) ? [] : statements));
}

/** All that an answer about a job shows of itself: what it says, and what was done for it. */
async function traitsOf(request: Request, jobId: string) {
  const { authorization, "x-tenant-id": tenantId } = world.attacker.member.headers;
  const headers = { ...request.headers, authorization: authorization!, "x-tenant-id": tenantId!, "x-request-id": "same" }; // prettier-ignore
  let traits = {};
  const statements = await statementsOf(async () => {
    const { status, headers: answered, received } = await exchange(api, { ...request, headers });
    const { date: _, ...rest } = answered;
    traits = { status, headers: rest, body: received.split("\n").slice(1).join("\n").replaceAll(jobId, "id") };
  });
  return { ...traits, statements: statements.map((statement) => statement.replaceAll(jobId, "id")) };
}

const byField = ["query", "mutation"].flatMap((kind) =>
  rootFields(schema, kind as "query").flatMap((root) =>
    attackPoints(schema, root)
      .filter(({ takes }) => takes === "jobId")
      .map(({ point }) => ({
        name: point,
        requestFor: (id: string): Request => ({
          method: "POST",
          path: "/graphql",
          body: documentFor(schema, root, fillFor(world.attacker, world.attacker.jobs, { point, value: id })),
        }),
      })),
  ),
);
const byRoute = Object.entries(ROUTES).flatMap(([name, route]) => {
  if (!name.includes(":id") || !("requests" in route)) return [];
  const requestFor = (id: string): Request =>
    [...route.requests({ ...world.victim, named: { ...world.victim.named, jobId: [id] } })][0]!;
  const head = {
    name: name.replace("GET", "HEAD"),
    requestFor: (id: string) => ({ ...requestFor(id), method: "HEAD" }),
  };
  return name.startsWith("GET") ? [{ name, requestFor }, head] : [{ name, requestFor }];
});

describe.each([...byField, ...byRoute])("$name", ({ requestFor }) => {
  it("answers for another tenant's job as for one that does not exist, with the same statements", async () => {
    const unknown = randomUUID();
    const expected = await traitsOf(requestFor(unknown), unknown);
    expect(expected.statements.length).toBeGreaterThan(2);
    for (const id of world.victim.named.jobId) expect(await traitsOf(requestFor(id), id)).toEqual(expected);
  });
});

it("tells the statements of a job that exists from those of one that does not", async () => {
  const { requestFor } = byRoute.find(({ name }) => name === "DELETE /v1/jobs/:id")!;
  const unknown = randomUUID();
  const { queued } = world.attacker.jobs;
  const { statements } = await traitsOf(requestFor(queued), queued);
  expect(statements).not.toEqual((await traitsOf(requestFor(unknown), unknown)).statements);
});
