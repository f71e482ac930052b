import { ERRORS } from "../../src/errors.js";
import { createSchema } from "../../src/graphql/api/schema.js";
import { useApi } from "../support/api.js";
import { attackPoints, documentFor, type Fill, leavesOf, reached, rootFields } from "./documents.js";
import { type Exchange, exchange, leaks } from "./exchange.js";
import { createJudge, type Judge, verdictOn } from "./judge.js";
import { headersOf, ROWS, type World } from "./rows.js";
import { freshJob, type JobState, rowsOf, type Tenancy } from "./tenancy.js";
import { INPUTS, OWNERS_ONLY, type Told } from "./verdicts.js";
import { createWorld, credentials, fillFor } from "./world.js";

const schema = await createSchema();
const QUERIES = rootFields(schema, "query");
const ROOTS = [...QUERIES, ...rootFields(schema, "mutation")];

const api = useApi();
let world: World;
let judge: Judge;
let before: Record<string, unknown>;
beforeAll(async () => {
  world = await createWorld(api);
  judge = await createJudge(api, schema, world.attacker);
  before = await rowsOf(api, world.victim);
});

/** Asks a root field for everything. */
async function ask(
  root: string,
  headers: Record<string, string | string[]>,
  fill: Fill,
  method: "GET" | "POST" = "POST",
): Promise<Answer> {
  const body = documentFor(schema, root, fill);
  const query = new URLSearchParams({ query: body.query, variables: JSON.stringify(body.variables) });
  const answer =
    method === "POST"
      ? await exchange(api, { method, path: "/graphql", headers, body })
      : await exchange(api, {
          method,
          path: `/graphql?${query.toString()}`,
          headers: { ...headers, "apollo-require-preflight": "true" },
        });
  const { data, errors } = answer.body as Pick<Answer, "errors"> & { data?: Record<string, unknown> | null };
  return { ...answer, value: data?.[root.split(".")[1] ?? ""], errors: errors ?? [] };
}

interface Answer extends Exchange {
  /** The root field's. */
  value: unknown;
  errors: { extensions: Record<string, unknown> }[];
}

const codes = ({ errors }: Answer) => [...new Set(errors.map(({ extensions }) => extensions["code"]))];

/** The tenant's jobs that a call of the root field names: for a mutation its own, since it changes them. */
async function jobsFor(root: string, tenancy: Tenancy): Promise<Record<JobState, string>> {
  const jobs = { ...tenancy.jobs };
  if (QUERIES.includes(root)) return jobs;
  for (const { state } of attackPoints(schema, root)) {
    if (state !== undefined) jobs[state] = await freshJob(api, tenancy, state);
  }
  return jobs;
}

/** Checks that an answer tells the attacker nothing, and what it says instead. */
async function expectTold(root: string, answer: Answer, told: Told): Promise<void> {
  expect(leaks(answer, world.victim)).toEqual([]);
  expect(await judge.faults(root, answer.value)).toEqual([]);
  const shown = [...leavesOf(schema, root, answer.value)].some(([coordinate, leaf]) => {
    const verdict = verdictOn(coordinate);
    return verdict === "id" || verdict === "content" || (verdict === "count" && leaf !== 0);
  });
  const says = codes(answer).join(" ") || (answer.value === null ? "null" : shown ? "own" : "nothing");
  expect([answer.status, says]).toEqual([200, told]);
}

describe.each(ROOTS)("%s", (root) => {
  it("shows a member their own tenant, and nothing of another", async () => {
    const answer = await ask(
      root,
      credentials(world.attacker.member),
      fillFor(world.attacker, await jobsFor(root, world.attacker)),
    );
    await expectTold(root, answer, "own");
  });

  if (QUERIES.includes(root)) {
    it("shows the other tenant's member what the attacks look for", async () => {
      const { victim } = world;
      const answer = await ask(root, credentials(victim.member), fillFor(victim, victim.jobs));
      expect(codes(answer)).toEqual([]);
      expect(leaks(answer, victim)).not.toEqual([]);
    });
  }

  const points = attackPoints(schema, root);
  if (points.length > 0) {
    it.each(points)("tells nothing for the other tenant's $point", async ({ point, takes, told }) => {
      const values = world.victim.named[takes];
      expect(values).not.toEqual([]);
      for (const value of values) {
        const fill = fillFor(world.attacker, await jobsFor(root, world.attacker), { point, value });
        await expectTold(root, await ask(root, credentials(world.attacker.member), fill), told);
      }
    });
  }

  it.each(ROWS)("refuses: $row", async (row) => {
    const names = world[row.names];
    const attacks = points.map(({ point, takes }) => ({ point, value: names.named[takes][0] }));
    for (const attack of [null, ...attacks]) {
      for (const method of ["POST", "GET"] as const) {
        const answer = await ask(root, headersOf(row, world), fillFor(names, names.jobs, attack), method);
        const { status, graphql } = ERRORS[row.told];
        expect([answer.status, codes(answer), answer.value]).toEqual([status, [graphql], undefined]);
        expect(leaks(answer, world.victim)).toEqual([]);
      }
    }
  });

  it("lets a viewer read their own tenant, and change nothing anywhere", async () => {
    const { attacker, victim } = world;
    const mayRead = QUERIES.includes(root) && !reached(schema, root).some((one) => OWNERS_ONLY.has(one));
    const jobs = await jobsFor(root, world.attacker);
    const own = await rowsOf(api, attacker);
    const answer = await ask(root, credentials(attacker.viewer), fillFor(attacker, jobs));
    await expectTold(root, answer, mayRead ? "own" : "FORBIDDEN");
    const other = await ask(root, credentials(attacker.viewer), fillFor(attacker, victim.jobs));
    expect([leaks(other, victim), codes(other)]).toEqual([[], mayRead ? [] : ["FORBIDDEN"]]);
    expect(await rowsOf(api, attacker)).toEqual(own);
  });
});

describe("the attacks over GraphQL", () => {
  it("have judged every field by a value", () => {
    const leaves = ROOTS.flatMap((root) => reached(schema, root)).filter(
      (coordinate) => !(coordinate in INPUTS) && verdictOn(coordinate) !== "parts",
    );
    expect([...new Set(leaves)].filter((coordinate) => !judge.seen.has(coordinate))).toEqual([]);
  });

  it("have changed nothing of the other tenant's", async () => {
    expect(Object.keys(before)).toContain("jobs");
    expect(await rowsOf(api, world.victim)).toEqual(before);
  });
});
