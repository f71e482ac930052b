import { once } from "node:events";
import fc from "fast-check";
import type { GraphQLSchema } from "graphql";
import { WebSocket } from "ws";
import { createSchema } from "../../src/graphql/api/schema.js";
import { call } from "../rest/call.js";
import { useApi, useMember } from "../support/api.js";
import { exchange } from "../support/exchange.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { watch, type Watcher } from "../support/watch.js";
import type { Known } from "./arguments.js";
import { type Choices, chosen } from "./choices.js";
import { graphqlFault } from "./documented.js";
import { damaged, DocumentBuilder } from "./documents.js";
import { expectNoGrowth } from "./heap.js";
import { runs } from "./parameters.js";
import { json } from "./values.js";
import { closeCodesIn, frames, HANDSHAKE } from "./web-socket-frames.js";
import { expectWhole } from "./whole.js";

/** Those of the protocols, and the contract's; not 1011 and 4500, which say that we failed, nor 1006, which says nothing. */
const CLOSES = new Set([1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429]);

const api = useApi();
const member = useMember(api);
let neighbour: Watcher;
let schema: GraphQLSchema;
let known: Known;

beforeAll(async () => {
  schema = await createSchema();
  const { eventCursor } = await ask<{ eventCursor: string }>(api, member, "{ jobs { eventCursor } }");
  known = { jobIds: [], eventCursors: [eventCursor] };
  neighbour = watch(api.wsUrl, member);
  atEnd(() => neighbour.client.dispose());
  await until(() => api.tail.size === 1);
});

/** Checks that the subscription on the other socket still gets what happens. */
async function expectNeighbourServed(): Promise<void> {
  const { length } = neighbour.seen;
  await call(api, "POST", "/v1/jobs", member.headers, { jobType: "NEIGHBOUR" });
  await neighbour.count(length + 1);
  expect(neighbour.errors).toEqual([]);
}

const IDS = [
  "1",
  "2",
  "3",
  "__proto__",
  "constructor",
  "toString",
  "\0",
  "\ud800",
  "😀",
  "x".repeat(80),
  "x".repeat(100),
];

/** What a client sends in one frame: text, or bytes. */
type Sent = string | Buffer;

function subscribe(choices: Choices): Sent {
  const builder = new DocumentBuilder(schema, known, choices);
  const kind = choices.oneIn(6) ? choices.of(["query", "mutation"] as const) : "subscription";
  const wrong = choices.oneIn(3);
  const { query, variables } = wrong ? builder.operationWithWrongVariable(kind) : builder.operation(kind);
  const payload = {
    query: choices.oneIn(4) ? damaged(query, choices) : query,
    variables,
    operationName: choices.oneIn(6) ? choices.of([null, "", "__proto__"]) : "O",
  };
  return JSON.stringify({ id: choices.of(IDS), type: "subscribe", payload });
}

/** What a client library sends, whatever its user wants. */
const operations: fc.Arbitrary<Sent[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: chosen(subscribe) },
    { weight: 2, arbitrary: fc.constantFrom(...IDS).map((id) => JSON.stringify({ id, type: "complete" })) },
    { weight: 1, arbitrary: json.map((payload) => `{"type":"ping","payload":${payload}}`) },
  ),
  { minLength: 1, maxLength: 6 },
);

const TYPES = [
  "connection_init",
  "subscribe",
  "complete",
  "ping",
  "pong",
  "next",
  "error",
  "connection_ack",
  "start",
  "__proto__",
  "",
];

/** What no client library sends. */
const frame: fc.Arbitrary<Sent> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...TYPES), fc.oneof(json, fc.constant(`"1"`)), json)
    .map(([type, id, payload]) => `{"type":${JSON.stringify(type)},"id":${id},"payload":${payload}}`),
  json,
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom("x".repeat(129 * 1024), "[".repeat(100_000), ""),
);

interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

/** A socket of a client's own, what has come over it, and how it was closed. */
async function open(): Promise<{ socket: WebSocket; messages: Message[]; closed: () => number | null }> {
  const socket = new WebSocket(api.wsUrl, "graphql-transport-ws");
  const messages: Message[] = [];
  let code: number | null = null;
  socket.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString()) as Message));
  socket.on("close", (given) => (code = given));
  socket.on("error", () => undefined);
  await once(socket, "open");
  return { socket, messages, closed: () => code };
}

const credentials = () => ({ Authorization: `Bearer ${member.token}`, "X-Tenant-Id": member.tenantId });

/** The ids of operations that must be answered: begun, and not ended by the client itself. */
function owed(sent: readonly Sent[]): Set<string> {
  const messages = sent.map(messageIn);
  const idsOf = (kind: string) => messages.flatMap(({ id, type }) => (type === kind ? (id ?? []) : []));
  const ended = new Set(idsOf("complete"));
  return new Set(idsOf("subscribe").filter((id) => !ended.has(id)));
}

/** What a frame says; nothing, where it is no JSON. */
function messageIn(sent: Sent): Partial<Message> {
  try {
    return Object(JSON.parse(sent.toString())) as Partial<Message>;
  } catch {
    return {};
  }
}

/** Sends frames over a socket of their own and waits for what each is owed, or for the close. */
async function converse(sent: readonly Sent[], signedIn: boolean): Promise<void> {
  const { socket, messages, closed } = await open();
  if (signedIn) {
    socket.send(JSON.stringify({ type: "connection_init", payload: credentials() }));
    await until(() => messages.some(({ type }) => type === "connection_ack"));
  }
  for (const one of sent) socket.send(one);
  socket.send(JSON.stringify({ type: "ping", payload: { last: true } }));
  const ids = owed(sent);
  const ended = () => messages.filter(({ id, type }) => ids.has(id ?? "") && (type === "error" || type === "complete"));
  const alive = () => messages.some(({ type, payload }) => type === "pong" && Object(payload)["last"] === true);
  await until(() => closed() !== null || (alive() && ended().length + api.tail.size - 1 >= ids.size), {
    what: `an answer to each of ${JSON.stringify([...ids])}, or a close; ${JSON.stringify(messages)}`,
  });
  const code = closed() ?? 1000;
  socket.terminate();
  expect(CLOSES).toContain(code);
  const errors = messages.flatMap(({ type, payload }) =>
    type === "error" ? payload : type === "next" ? ((payload as { errors?: unknown[] }).errors ?? []) : [],
  );
  expect(graphqlFault(errors)).toBeNull();
  await until(() => api.tail.size === 1, { what: "the end of the socket's subscriptions" });
}

describe("a socket", () => {
  it("answers each operation, or closes as documented", async () => {
    await fc.assert(
      fc.asyncProperty(operations, (sent) => converse(sent, true)),
      runs(1.5),
    );
    await expectNeighbourServed();
  });

  it("closes as documented on what is no message of a client", async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(operations, frame), ([sent, last]) => converse([...sent, last], true)),
      runs(0.5),
    );
    await expectNeighbourServed();
  });

  it("closes as documented on whoever has not signed in", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(operations, fc.tuple(frame)), (sent) => converse(sent, false)),
      runs(0.5),
    );
    await expectNeighbourServed();
  });

  it("takes parameters of every kind, or closes as documented", async () => {
    await fc.assert(
      fc.asyncProperty(json, async (payload) => {
        const { socket, messages, closed } = await open();
        socket.send(`{"type":"connection_init","payload":${payload}}`);
        await until(() => closed() !== null || messages.length > 0);
        socket.terminate();
        expect(CLOSES).toContain(closed());
      }),
      runs(0.5),
    );
    await expectNeighbourServed();
  });

  it("takes frames of every shape, or ends the connection as documented", async () => {
    await fc.assert(
      fc.asyncProperty(frames, async (bytes) => {
        const answer = await exchange(api.port, HANDSHAKE + bytes);
        expect(answer).toMatch(/^HTTP\/1\.1 101 /);
        expect(closeCodesIn(answer).filter((code) => !CLOSES.has(code))).toEqual([]);
      }),
      runs(0.5),
    );
    await expectNeighbourServed();
  });
});

describe("a message that its library would fail over", () => {
  const message = (id: string) => JSON.stringify({ id, type: "subscribe", payload: { query: "subscription { x }" } });

  it.each([
    ["of a server's kind", [`{"type":"next","id":"1","payload":{}}`]],
    ["whose id no close's reason can carry", [message("x".repeat(100)), message("x".repeat(100))]],
  ])("%s closes with 4400", async (_what, sent) => {
    const { socket } = await open();
    for (const one of sent) socket.send(one);
    expect((await once(socket, "close"))[0]).toBe(4400);
  });
});

describe("the API", () => {
  it("does not grow", async () => {
    const sent = fc.sample(operations, { seed: 1, numRuns: 30 });
    let round = 0;
    await expectNoGrowth(60, () => converse(sent[round++ % sent.length] ?? [], true));
  });

  it("is whole after all of it", async () => {
    await neighbour.client.dispose();
    await expectWhole(api);
  });
});
