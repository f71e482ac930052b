import { createSchema } from "../../src/graphql/api/schema.js";
import { useApi, type TestMember } from "../support/api.js";
import { readEventStream } from "../support/event-stream.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { within } from "../support/within.js";
import { attackPoints, documentFor, reached, rootFields } from "./documents.js";
import { leaks } from "./exchange.js";
import { createJudge, type Judge, verdictOn } from "./judge.js";
import { parametersOf, ROWS, type World } from "./rows.js";
import { openSocket } from "./socket.js";
import { freshJob, type Tenancy } from "./tenancy.js";
import { INPUTS } from "./verdicts.js";
import { createWorld, credentials, fillFor } from "./world.js";

const schema = await createSchema();
const ROOTS = rootFields(schema, "subscription");
/** How many changes `happen` makes in each tenant. */
const CHANGES = 10;

const api = useApi();
let world: World;
let judge: Judge;
beforeAll(async () => {
  world = await createWorld(api);
  judge = await createJudge(api, schema, world.attacker);
});
afterEach(async () => {
  await until(() => api.tail.size === 0);
});

/** Changes jobs of the victim's, then of the attacker's: whoever has word of the second would have had it of the first. */
async function happen(): Promise<void> {
  for (const tenancy of [world.victim, world.attacker]) {
    await api.database.transaction({ role: "worker", actor: "system" }, async (tx) => {
      for (const status of ["queued", "canceled"]) {
        await tx.query("update jobs set status = $1 where id = $2", [status, tenancy.jobs.canceled]);
      }
    });
    tenancy.secrets.push(await freshJob(api, tenancy, "completed"), await freshJob(api, tenancy, "failed"));
  }
  api.hints.send("events");
}

/** Subscribes from now on, lets something happen in both tenants, and waits for so many results. */
async function watch(
  root: string,
  { jobs, ...asker }: Tenancy,
  { member = asker.member, attack = null, results }: { member?: TestMember; attack?: Parameters<typeof fillFor>[2]; results: number },
) {
  const { eventCursor } = await ask<{ eventCursor: string }>(api, member, "{ jobs(first: 1) { eventCursor } }");
  const fill = fillFor({ jobs, ...asker }, jobs, attack);
  const operation = documentFor(schema, root, (coordinate, required) => {
    const verdict = INPUTS[coordinate];
    const isPlace = typeof verdict === "object" && "takes" in verdict && verdict.takes === "eventCursor";
    return fill(coordinate, required) ?? (isPlace ? eventCursor : undefined);
  });
  const socket = await openSocket(api.wsUrl, credentials(member));
  atEnd(() => socket.close());
  socket.subscribe(operation);
  await happen();
  await until(() => socket.results.length >= results, { what: `${results} results` });
  const values = socket.results.map(({ data }) => data?.[root.split(".")[1] ?? ""]);
  const codes = new Set(socket.results.flatMap(({ errors = [] }) => errors.map(({ extensions }) => extensions["code"])));
  return { count: socket.results.length, values, codes: [...codes], sent: JSON.stringify(operation), received: socket.received() };
} // prettier-ignore

describe.each(ROOTS)("%s", (root) => {
  const expectOwn = async (seen: Awaited<ReturnType<typeof watch>>): Promise<void> => {
    expect(leaks(seen, world.victim)).toEqual([]);
    for (const value of seen.values) expect(await judge.faults(root, value)).toEqual([]);
  };

  it("sends members the changes of their own tenant alone, viewers too", async () => {
    const { attacker } = world;
    for (const member of [attacker.member, attacker.viewer]) {
      const seen = await watch(root, attacker, { member, results: CHANGES });
      expect([seen.count, seen.codes]).toEqual([CHANGES, []]);
      await expectOwn(seen);
    }
  });

  it("sends the other tenant's member what the attacks look for", async () => {
    expect(leaks(await watch(root, world.victim, { results: CHANGES }), world.victim)).not.toEqual([]);
  });

  it.each(attackPoints(schema, root))("tells nothing for the other tenant's $point", async ({ point, takes, told }) => {
    const { attacker, victim } = world;
    const theirs = victim.named[takes];
    expect(theirs).not.toEqual([]);
    // A filter lets both tenants' pass: events come in order, so the own ones show that no others are on their way.
    const values = told === "nothing" ? [[...theirs, ...attacker.named[takes]]] : theirs;
    for (const value of values) {
      const seen = await watch(root, attacker, { attack: { point, value }, results: told === "nothing" ? 2 : 1 });
      expect(seen.codes).toEqual(told === "nothing" ? [] : [told]);
      await expectOwn(seen);
    }
  });

  it.each(ROWS)("is not to be had: $row", async (row) => {
    const socket = await openSocket(api.wsUrl, parametersOf(row, world));
    atEnd(() => socket.close());
    socket.subscribe(documentFor(schema, root, fillFor(world[row.names], world[row.names].jobs)));
    await happen();
    expect(await within(15_000, socket.closed, "the close")).toBe(row.closes);
    expect([socket.results, leaks({ sent: "", received: socket.received() }, world.victim)]).toEqual([[], []]);
  });
});

describe("the attacks over sockets", () => {
  it("have judged every field by a value", () => {
    const leaves = ROOTS.flatMap((root) => reached(schema, root)).filter(
      (coordinate) => !(coordinate in INPUTS) && verdictOn(coordinate) !== "parts",
    );
    expect([...new Set(leaves)].filter((coordinate) => !judge.seen.has(coordinate))).toEqual([]);
  });
});

describe("GET /v1/jobs/events", () => {
  it.each(["none", "job_id", "job_type"] as const)("sends the changes of one's own tenant alone, filter: %s", async (filter) => {
    const { attacker, victim } = world;
    const key = filter === "job_id" ? "jobId" : "jobType";
    const values = filter === "none" ? [] : [...victim.named[key], ...attacker.named[key]];
    const query = `?${values.map((value) => `${filter}=${value}`).join("&")}`;
    const reader = await readEventStream(api, credentials(attacker.member), query);
    // It says where it begins once it has begun.
    await until(() => reader.lastId());
    await happen();
    const events = await reader.count(2);
    reader.stop();
    expect(leaks({ sent: query, received: JSON.stringify(events) }, victim)).toEqual([]);
    for (const { data } of events) expect(attacker.named.jobType).toContain(data?.["jobType"]);
  }); // prettier-ignore

  it("sends the other tenant's member what the attacks look for", async () => {
    const reader = await readEventStream(api, credentials(world.victim.member));
    await until(() => reader.lastId());
    await happen();
    const received = JSON.stringify(await reader.count(CHANGES));
    reader.stop();
    expect(leaks({ sent: "", received }, world.victim)).not.toEqual([]);
  });
});
