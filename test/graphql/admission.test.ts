import { useApi, useMember, type TestApi, startApi } from "../support/api.js";
import { send } from "../support/graphql.js";
import { socketOf } from "../support/watch.js";

const api = useApi();
const member = useMember(api);

interface Operation {
  query: string;
  variables?: Record<string, unknown>;
  operationName?: string;
}

interface Refusal {
  message: string;
  extensions: Record<string, unknown>;
}

async function overHttp(
  operation: Operation,
  served = api,
): Promise<{ status: number; errors: Refusal[] | undefined }> {
  const body = JSON.stringify(operation);
  const response = await fetch(`${served.url}/graphql`, { method: "POST", headers: member.headers, body });
  return { status: response.status, errors: ((await response.json()) as { errors?: Refusal[] }).errors };
}

/** Of several operations on one socket, each refusal: none of them ends the socket. */
async function overSocket(operations: Operation[], served = api): Promise<(Refusal[] | undefined)[]> {
  const client = socketOf(served.wsUrl, member);
  const closes: unknown[] = [];
  client.on("closed", (close) => closes.push(close));
  const refusals = await Promise.all(
    operations.map(
      (operation) =>
        new Promise<Refusal[] | undefined>((resolve) => {
          client.subscribe(operation, {
            // What is wrong with variables is told as a result, as over HTTP.
            next: ({ errors }) => resolve(errors as unknown as Refusal[] | undefined),
            error: (errors) => resolve(errors as Refusal[]),
            complete: () => undefined,
          });
        }),
    ),
  );
  expect(closes).toEqual([]);
  await client.dispose();
  return refusals;
}

const many = (count: number, one: (n: number) => string) => Array.from({ length: count }, (_, n) => one(n)).join(" ");

/** A selection on `Job` that passes a limit, and the same a step below it. */
const LIMITS: [limit: string, message: RegExp, over: string, within: string][] = [
  ["tokens", /8000 tokens/, `id ${"#".repeat(9)}\n${many(8_001, () => "id")}`, "id"],
  ["characters", /1048576 characters/, `id #${"x".repeat(1_048_576)}\n`, `id #${"x".repeat(100_000)}\n`],
  ["depth", /15 levels/, `events { nodes ${"{ actor ".repeat(20)} { id } ${"}".repeat(20)} }`, `events { nodes { actor { id } } }`],
  ["fields", /1000 fields/, many(60, (n) => `... on Job { events { nodes { jobId jobType version attempt occurredAt previousStatus status actor { kind id } error { code message attempt occurredAt } } pageInfo { hasNextPage } } id status priority input output attempt version a${n}: id }`), many(10, () => "... on Job { id status }")],
  ["aliases", /50 aliases/, many(51, (n) => `a${n}: id`), many(50, (n) => `a${n}: id`)],
  ["directives", /50 directives/, many(51, () => `... @include(if: true) { id }`), many(50, () => "... @include(if: true) { id }")],
  ["directives in one place", /5 directives in one place/, `id ${many(6, (n) => `@unknown${n}`)}`, `id @include(if: true) @skip(if: false)`],
  ["lines", /5000 lines/, `id ${"\n".repeat(5_000)}`, `id ${"\r\n".repeat(4_900)}`],
  ["inputs and outputs", /20 inputs and outputs,/, many(21, (n) => `a${n}: input`), "input output"],
  ["inputs and outputs of one field", /4 inputs and outputs under one root field/, "... { input output } ... { a: input b: input c: output }", "input output a: input b: output"],
  ["repeats", /100 repeated fields/, many(102, () => "id"), many(101, () => "id")],
  ["repeats below", /100 repeated fields/, many(3, () => `events { nodes { ${many(40, () => "jobId")} } }`), "id"],
]; // prettier-ignore

const TOO_COMPLEX = "QUERY_TOO_COMPLEX";

it.each(LIMITS)("a document over the limit of %s is refused, and one within it is not", async (_limit, message, over, within) => {
  const answer = await send(api, `{ jobs(first: 1) { nodes { ${over} } } }`, {}, member.headers);
  expect(answer).toMatchObject({ status: 400, errors: [{ message: expect.stringMatching(message) as string, extensions: { code: TOO_COMPLEX } }] });
  expect(answer.errors?.[0]?.extensions["requestId"]).toBe(answer.headers.get("x-request-id"));
  const allowed = await send(api, `{ jobs(first: 1) { nodes { ${within} } } }`, {}, member.headers);
  expect([allowed.status, allowed.errors]).toEqual([200, undefined]);
}); // prettier-ignore

/** The same on `Job`, in a query and in a subscription. */
const selecting = (selection: string, variables: Record<string, unknown> = {}): [http: Operation, socket: Operation] => [
  { query: `query ($s: [JobStatus!]) { jobs(filter: { status: $s }) { nodes { ${selection} } } }`, variables },
  { query: `subscription ($s: [JobStatus!]) { jobStatusChanged(filter: { status: $s }) { job { ${selection} } } }`, variables },
]; // prettier-ignore
const several = (operationName?: string): [http: Operation, socket: Operation] => [
  { query: "query A { __typename } query B { __typename }", ...(operationName !== undefined && { operationName }) },
  { query: "subscription A { jobStatusChanged { version } } subscription B { jobStatusChanged { version } }", ...(operationName !== undefined && { operationName }) },
]; // prettier-ignore
const statuses = (count: number, name: string) => ({ s: Array.from({ length: count }, () => name) });

it.each<[what: string, operations: [http: Operation, socket: Operation], code: string, message: RegExp]>([
  // A longer message ends the socket before anything reads it.
  ...LIMITS.filter(([, , over]) => Buffer.byteLength(over) < 120_000).map(
    ([limit, message, over]) =>
      [`a document over the limit of ${limit}`, selecting(over), TOO_COMPLEX, message] as never,
  ),
  ["a syntax error", [{ query: "{ jobs(" }, { query: "{ jobs(" }], "GRAPHQL_PARSE_FAILED", /^Syntax Error: Expected Name, found <EOF>.$/],
  ["an unknown field", selecting("nothing"), "GRAPHQL_VALIDATION_FAILED", /^Cannot query field "nothing" on type "Job".$/],
  ["twelve unknown fields", selecting(many(12, (n) => `n${n}`)), "GRAPHQL_VALIDATION_FAILED", /^Cannot query field "n0"/],
  ["an argument of another type", selecting(`events(first: "1") { nodes { version } }`), "GRAPHQL_VALIDATION_FAILED", /^Int cannot represent/],
  ["no name, of several operations", several(), "OPERATION_RESOLUTION_FAILURE", /^Must provide operation name if query contains multiple operations.$/],
  ["the name of none of them", several("C"), "OPERATION_RESOLUTION_FAILURE", /^Unknown operation named "C".$/],
  ["an empty name", several(""), "OPERATION_RESOLUTION_FAILURE", /^Unknown operation named "".$/],
  ["a wrong variable", selecting("id", { s: ["NEW"] }), "BAD_USER_INPUT", /^Variable "\$s" got invalid value "NEW" at "s\[0\]"/],
  ["twenty wrong values in a variable", selecting("id", statuses(20, "NEW")), "BAD_USER_INPUT", /^Variable "\$s" got invalid value/],
  ["a variable with too many values", selecting("id", statuses(20_001, "")), "BAD_USER_INPUT", /^The variables may have 20000 values outside of JSON/],
])("%s: the refusal is the same over HTTP and on the socket", async (_what, [http, socket], code, message) => {
  const [{ errors = [] }, [told = []]] = await Promise.all([overHttp(http), overSocket([socket])]);
  expect(errors[0]).toMatchObject({ message: expect.stringMatching(message) as string, extensions: { code } });
  const comparable = (refusals: Refusal[]) =>
    refusals.map(({ message: text, extensions: { requestId, ...extensions } }) => [text, extensions, typeof requestId]);
  expect(comparable(told)).toEqual(comparable(errors));
}); // prettier-ignore

it("suggestions are told outside production alone, on the socket as over HTTP", async () => {
  const production = await startApi({ production: true }, api.own);
  const [http, socket] = selecting("stats");
  const messages = (served: TestApi) =>
    Promise.all([overHttp(http, served), overSocket([socket], served)]).then(([{ errors }, [told]]) => [
      errors?.map(({ message }) => message),
      told?.map(({ message }) => message),
    ]);
  const unknown = 'Cannot query field "stats" on type "Job".';
  expect(await messages(production)).toEqual([[unknown], [unknown]]);
  const suggesting = [`${unknown} Did you mean "status"?`];
  expect(await messages(api)).toEqual([suggesting, suggesting]);
  await production.close();
});

it("an operation that costs too much is refused by the limit of its transport", async () => {
  const pages = many(30, (n) => `e${n}: events(first: 200) { nodes { version } }`);
  const [{ errors }, [told]] = await Promise.all([
    overHttp({ query: `{ jobs(first: 1) { nodes { ${pages} } } }` }),
    overSocket([{ query: `subscription { jobStatusChanged { job { ${pages} } } }` }]),
  ]);
  const refusal = (cost: number, limit: number) => [
    {
      message: `An operation may cost ${limit}, this one costs ${cost}`,
      extensions: { code: TOO_COMPLEX, cost, limit },
    },
  ];
  expect([errors, told]).toMatchObject([refusal(6_032, 5_000), refusal(6_031, 500)]);
});

it("each transport refuses the operations of the other, the schema's among them", async () => {
  const subscription = await overHttp({ query: "subscription { jobStatusChanged { version } }" });
  expect(subscription).toMatchObject({
    status: 400,
    errors: [
      {
        message: "Subscriptions go over WebSocket on this path, with the graphql-transport-ws protocol",
        extensions: { code: "BAD_REQUEST" },
      },
    ],
  });
  const refused = await overSocket([
    { query: "{ __schema { description } }" },
    { query: "{ jobs { totalCount } }" },
    { query: `mutation { deleteJob(id: "1") { deletedJobId } }` },
  ]);
  expect(refused.map((errors) => errors?.map(({ message, extensions }) => [message, extensions["code"]]))).toEqual(
    ["query", "query", "mutation"].map((kind) => [
      [`The socket takes subscriptions only; send a ${kind} over HTTP`, "BAD_REQUEST"],
    ]),
  );
});
