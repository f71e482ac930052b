import fc from "fast-check";
import { type GraphQLSchema, MaxIntrospectionDepthRule, parse, specifiedRules, validate } from "graphql";
import { createSchema } from "../../src/graphql/api/schema.js";
import { useApi, useMember } from "../support/api.js";
import { ask } from "../support/graphql.js";
import type { Known } from "./arguments.js";
import { type Choices, chosen } from "./choices.js";
import { graphqlFault } from "./documented.js";
import { damaged, DocumentBuilder, type Operation } from "./documents.js";
import { expectNoGrowth } from "./heap.js";
import { runs } from "./parameters.js";
import { canonical, json, storableInput } from "./values.js";
import { expectWhole } from "./whole.js";

const KINDS = ["query", "mutation"] as const;
/** What makes a document valid; introspection of introspection is valid and refused. */
const VALID = specifiedRules.filter((rule) => rule !== MaxIntrospectionDepthRule);

const api = useApi();
const member = useMember(api);
let schema: GraphQLSchema;
let known: Known;

beforeAll(async () => {
  schema = await createSchema();
  const input = Array.from({ length: 5 }, () => ({ jobType: "A" }));
  const create = "mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } eventCursor } }";
  const made = await ask<{ jobs: { id: string }[]; eventCursor: string }>(api, member, create, { input });
  known = { jobIds: made.jobs.map(({ id }) => id), eventCursors: [made.eventCursor] };
});

interface GraphqlBody {
  data?: Record<string, unknown> | null;
  errors?: { extensions: { code: string } }[];
}

const builder = (choices: Choices): DocumentBuilder => new DocumentBuilder(schema, known, choices);

/** Sends a request to the endpoint, and checks what holds for each of its answers. */
async function sendRaw(body: string, headers: Record<string, string> = {}): Promise<GraphqlBody> {
  return answerOf(
    await fetch(`${api.url}/graphql`, { method: "POST", headers: { ...member.headers, ...headers }, body }),
  );
}

async function answerOf(response: Response): Promise<GraphqlBody> {
  expect(response.status).toBeLessThan(500);
  expect(response.headers.get("x-request-id")).toMatch(/^[\w.-]{1,100}$/);
  expect(response.headers.get("content-type")).toMatch(/^application\/(graphql-response\+)?json/);
  const body = (await response.json()) as GraphqlBody;
  expect(graphqlFault(body.errors)).toBeNull();
  expect(body.data !== undefined || body.errors !== undefined).toBe(true);
  return body;
}

const sendOperation = (operation: Operation): Promise<GraphqlBody> => sendRaw(JSON.stringify(operation));

describe("a document", () => {
  it("that is valid is answered, each error in it as documented", async () => {
    const operation = chosen((choices) => builder(choices).operation(choices.of(KINDS)));
    await fc.assert(
      fc.asyncProperty(operation, async (one) => {
        const document = parse(one.query);
        expect(validate(schema, document, VALID)).toEqual([]);
        fc.pre(validate(schema, document).length === 0);
        const { errors = [] } = await sendOperation(one);
        expect(errors.map(({ extensions }) => extensions.code)).not.toContain("GRAPHQL_VALIDATION_FAILED");
      }),
      runs(2),
    );
  });

  it("that is damaged is answered as documented", async () => {
    const operation = chosen((choices) => {
      const { query, variables } = builder(choices).operation(choices.of([...KINDS, "subscription"]));
      return { query: damaged(query, choices), variables };
    });
    await fc.assert(
      fc.asyncProperty(operation, async (one) => void (await sendOperation(one))),
      runs(2),
    );
  });

  it("with a variable of any kind for any argument is answered as documented", async () => {
    const operation = chosen((choices) => builder(choices).operationWithWrongVariable(choices.of(KINDS)));
    await fc.assert(
      fc.asyncProperty(operation, async (one) => void (await sendOperation(one))),
      runs(),
    );
  });
});

describe("a create", () => {
  const CREATE =
    'mutation ($input: JSONObject) { createJob(input: {jobType: "A", input: $input}) { job { id input } } }';

  it("keeps an input exactly as it was sent", async () => {
    await fc.assert(
      fc.asyncProperty(storableInput, async (input) => {
        fc.pre(input.length < 200_000);
        const sent = canonical(JSON.parse(input));
        const body = `{"query":${JSON.stringify(CREATE)},"variables":{"input":${input}}}`;
        const { data } = await sendRaw(body);
        const { job } = Object(data)["createJob"] as { job: { id: string; input: unknown } };
        expect(canonical(job.input)).toBe(sent);
        const kept = await ask<typeof job>(api, member, "query ($id: ID!) { job(id: $id) { input } }", { id: job.id });
        expect(canonical(kept.input)).toBe(sent);
      }),
      runs(),
    );
  });

  it("answers an input of any kind as documented", async () => {
    await fc.assert(
      fc.asyncProperty(json, async (input) => {
        await sendRaw(`{"query":${JSON.stringify(CREATE)},"variables":{"input":${input}}}`);
      }),
      runs(),
    );
  });
});

describe("a request", () => {
  const MEMBERS = ["query", "variables", "operationName", "extensions", "id", "__proto__", "constructor"];
  const part = fc.tuple(
    fc.constantFrom(...MEMBERS),
    fc.oneof(
      json,
      fc.constantFrom('"{__typename}"', '"query a{__typename} query b{__typename}"', '"a"', '{"persistedQuery":1}', '{"persistedQuery":{"version":2}}', '{"persistedQuery":{"version":1,"sha256Hash":"a"}}', '{"persistedQuery":{"version":1,"sha256Hash":{}}}'), // prettier-ignore
    ),
  );
  const envelope = fc.tuple(fc.array(part, { maxLength: 4 }), fc.boolean()).map(([parts, batched]) => {
    const object = `{${parts.map(([name, value]) => `"${name}":${value}`).join(",")}}`;
    return batched ? `[${object},${object}]` : object;
  });

  it("of any shape, for any media type, is answered as documented", async () => {
    const accept = fc.constantFrom(
      "*/*",
      "application/json",
      "application/graphql-response+json",
      "text/event-stream",
      ",;",
    );
    await fc.assert(
      fc.asyncProperty(fc.tuple(fc.oneof(envelope, json), accept), async ([body, wanted]) => {
        await sendRaw(body, { accept: wanted });
      }),
      runs(2),
    );
  });

  it("over GET is answered as documented", async () => {
    const pairs = fc.array(part.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed().slice(0, 2_000))}`), { maxLength: 4 }); // prettier-ignore
    await fc.assert(
      fc.asyncProperty(pairs, async (query) => {
        const headers = { ...member.headers, "apollo-require-preflight": "1" };
        await answerOf(await fetch(`${api.url}/graphql?${query.join("&")}`, { headers }));
      }),
      runs(),
    );
  });
});

describe("the API", () => {
  it("is whole after all of it", () => expectWhole(api));

  it("does not grow", async () => {
    const operations = fc.sample(
      chosen((choices) => {
        const operation = builder(choices).operation("query");
        return choices.below(2) === 0 ? operation : { ...operation, query: damaged(operation.query, choices) };
      }),
      { seed: 1, numRuns: 100 },
    );
    let round = 0;
    // The same again and again: the server keeps some megabytes of the documents it has seen.
    await expectNoGrowth(300, () => sendRaw(JSON.stringify(operations[round++ % operations.length])));
  });
});
