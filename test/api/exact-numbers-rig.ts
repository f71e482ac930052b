import { once } from "node:events";
import fc from "fast-check";
import { WebSocket } from "ws";
import { type AtlasClient, createAtlasClient, type JobStatusChange } from "../../src/client/index.js";
import { createEngineRun } from "../../src/handlers/engine-run.handler.js";
import type { Handler, JsonObject } from "../../src/handlers/handler.js";
import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { useRig } from "../worker/rig.js";

/** What handlers were given, by job. */
export const handled = new Map<string, JsonObject>();
/** As bigints, numbers and texts go into a document. */
const asLiteral = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(asLiteral).join(", ")}]`;
  if (typeof value !== "object" || value === null) return asJson(value);
  return `{${Object.entries(value).map(([name, inner]) => `${name}: ${asLiteral(inner)}`).join(", ")}}`; // prettier-ignore
};
/** As a client in a language of exact numbers writes and reads it. */
export const asJson = (value: unknown): string =>
  JSON.stringify(value, (_name, inner: unknown) => (typeof inner === "bigint" ? JSON.rawJSON(`${inner}`) : inner));
export const fromJson = (text: string): unknown =>
  JSON.parse(text, (_name, inner: unknown, { source = "" }: { source?: string } = {}) =>
    typeof inner === "number" && /^-?\d+$/.test(source) && !Number.isSafeInteger(inner) ? BigInt(source) : inner,
  );

export const rig = useRig();
export const api = useApi({}, { on: rig });
export const member = useMember(api);
export let client: AtlasClient;
let changes: AsyncIterableIterator<JobStatusChange>;
const seen: JobStatusChange[] = [];
/** The frames of a raw socket, which has subscribed to every change. */
export const frames: string[] = [];
export let socket: WebSocket;

beforeAll(async () => {
  const handlers: Record<string, Handler> = {
    ECHO: async (input, context) => {
      handled.set(context.jobId, input);
      if (context.checkpointed === null) {
        await context.checkpoint(input);
        throw new Error("once more");
      }
      // What has been through the database twice, as structured clones and an inner handler have it.
      return context.run("INNER", structuredClone(context.checkpointed) as JsonObject);
    },
    INNER: (input) => input,
    FAILS_ONCE: (input, { attempt }) => {
      if (attempt === 1) throw new Error("once more");
      return input;
    },
    ENGINE_RUN: createEngineRun(() => true),
  };
  rig.work(handlers, { hints: api.hints });
  client = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: member.token });
  changes = client.watch();
  atEnd(() => changes.return?.());
  void (async () => {
    for await (const change of changes) seen.push(change);
  })();
  socket = new WebSocket(api.wsUrl, "graphql-transport-ws");
  socket.on("message", (message: Buffer) => frames.push(message.toString()));
  atEnd(() => socket.close());
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "connection_init", payload: member.headers }));
  await until(() => frames.length > 0);
  const query = "subscription { jobStatusChanged { jobId status job { input output } } }";
  socket.send(JSON.stringify({ type: "subscribe", id: "all", payload: { query } }));
});

export async function sent(path: string, body?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(api.url + path, {
    method: body === undefined ? "GET" : "POST",
    headers: member.headers,
    ...(body !== undefined && { body }),
  });
  return { status: response.status, text: await response.text() };
}

export const idIn = ({ text }: { text: string }): string => /"id":"([-0-9a-f]{36})"/.exec(text)?.[1] ?? text;

export const VARIABLE = "mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id input } } }";
export const INPUT =
  'mutation ($input: JSONObject) { createJob(input: {jobType: "ECHO", input: $input}) { job { id } } }';
export const NESTED =
  'mutation ($n: JSON) { createJob(input: {jobType: "ECHO", input: {a: {in: [$n]}}}) { job { id } } }';

/** Each way in, with which a job is made of an input. */
export const WAYS: Record<string, (input: unknown) => Promise<string>> = {
  REST: async (input) => idIn(await sent("/v1/jobs", asJson({ jobType: "ECHO", input }))),
  "a variable": async (input) =>
    idIn(await sent("/graphql", asJson({ query: VARIABLE, variables: { input: { jobType: "ECHO", input } } }))),
  "a variable of JSON": async (input) =>
    idIn(await sent("/graphql", asJson({ query: INPUT, variables: { input } }))),
  "a literal": async (input) => {
    const query = `mutation { createJob(input: {jobType: "ECHO", input: ${asLiteral(input)}}) { job { id } } }`;
    return idIn(await sent("/graphql", JSON.stringify({ query })));
  },
  "a list": async (input) => {
    const query = "mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }";
    return idIn(await sent("/graphql", asJson({ query, variables: { input: [{ jobType: "ECHO", input }] } })));
  },
  "the client": async (input) =>
    (await client.enqueue({ jobType: "ECHO", input: input as Record<string, unknown> })).job.id,
}; // prettier-ignore

const big = fc.oneof(
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  fc.bigInt({ min: -(10n ** 308n), max: -(2n ** 53n) }),
  fc.bigInt({ min: 10n ** 17n, max: 10n ** 308n }),
);
const name = fc.stringMatching(/^[a-z]{1,5}$/);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    big,
    fc.integer(),
    fc.double({ noNaN: true, min: -1e15, max: 1e15 }).map((number) => number + 0),
    fc.constantFrom("9007199254740993", '"\\', true, null),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(name, tie("any"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).any;
export const input = fc.record({ a: value, big });

/** Waits for a job's end; a failed attempt's next one would wait for ten seconds. */
export async function finished(id: string): Promise<void> {
  await until(async () => {
    await rig.rows("update jobs set run_at = now() where id = $1 and status = 'queued' and not due", [id]);
    return (await rig.job(id)).finishedAt !== null;
  });
}

/** A job's input and output in every text that goes out, as far as each surface has them. */
export async function shown(id: string): Promise<Record<string, unknown>> {
  const query = "query ($id: ID!) { job(id: $id) { input output } }";
  const rest = fromJson((await sent(`/v1/jobs/${id}`)).text) as { job: { input: unknown; output: unknown } };
  const list = fromJson((await sent("/v1/jobs/list")).text) as { items: { id: string; output: unknown }[] };
  const graphql = fromJson((await sent("/graphql", JSON.stringify({ query, variables: { id } }))).text) as {
    data: { job: { input: unknown; output: unknown } };
  };
  const frame = await until(() => frames.find((one) => one.includes(id) && one.includes('"COMPLETED"')));
  const change = await until(() => seen.find(({ jobId, status }) => jobId === id && status === "COMPLETED"));
  const listed = (await client.list({ first: 200 })).jobs.find((job) => job.id === id);
  const [row] = (await asSuperuser(`select input::text, output::text from jobs where id = '${id}'`, rig.superuserUrl)) as {
    input: string;
    output: string;
  }[]; // prettier-ignore
  return {
    rest: rest.job.input,
    restOutput: rest.job.output,
    listOutput: list.items.find((item) => item.id === id)?.output,
    graphql: graphql.data.job.input,
    graphqlOutput: graphql.data.job.output,
    socket: (fromJson(frame) as { payload: { data: { jobStatusChanged: { job: unknown } } } }).payload.data.jobStatusChanged.job,
    client: listed?.input,
    clientOutput: listed?.output,
    watchOutput: change.job?.output,
    handler: handled.get(id),
    database: fromJson(row?.input ?? ""),
    databaseOutput: fromJson(row?.output ?? ""),
  }; // prettier-ignore
}
