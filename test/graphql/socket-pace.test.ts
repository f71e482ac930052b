import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { heldBytes } from "../fuzz/heap.js";
import { useApi, type TestMember } from "../support/api.js";
import { send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

const api = useApi();

/** A socket that is signed in. */
async function signIn(member: TestMember): Promise<WebSocket> {
  const socket = new WebSocket(api.wsUrl, "graphql-transport-ws");
  await once(socket, "open");
  const payload = { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId };
  socket.send(JSON.stringify({ type: "connection_init", payload }));
  await once(socket, "message");
  return socket;
}

const sockets = (count: number, member: TestMember) => Promise.all(Array.from({ length: count }, () => signIn(member)));
const subscribe = (query: string) => JSON.stringify({ id: "1", type: "subscribe", payload: { query } });
/** It takes long to read, and is refused. */
const LARGE = subscribe(`subscription { ${"id ".repeat(7_900)} }`);
const CHANGES = subscribe("subscription { jobStatusChanged { version } }");

it("has a user's sockets take turns by the size of what they send, and nobody else wait", async () => {
  const [busy, other] = [await api.member(), await api.member()];
  const flood = await sockets(40, busy);
  // Before the flood: a sign-in waits for the database, on a busy machine for a second.
  const quick = await signIn(other);
  const order: string[] = [];
  const begunAt = performance.now();
  const refused = flood.map(async (socket) => {
    socket.send(LARGE);
    await once(socket, "message");
    order.push("busy");
  });
  quick.send(subscribe("query { jobs { totalCount } }"));
  await once(quick, "message");
  order.push("other");
  await Promise.all(refused);
  // Nearly a megabyte, at half a megabyte a second after the first eighth.
  expect(performance.now() - begunAt).toBeGreaterThan(1_200);
  expect(order.indexOf("other")).toBeLessThan(20);
  for (const socket of [...flood, quick]) socket.terminate();
});

it("closes with 4429 for whoever sends more messages than it will read in time", async () => {
  const flood = await sockets(8, await api.member());
  const closes = flood.map((socket) => once(socket, "close"));
  // Many in a packet: one socket alone is not read any faster than it should be.
  for (const socket of flood) for (let n = 0; n < 10_000; n++) socket.send('{"type":"ping"}');
  expect(await Promise.any(closes)).toEqual([4429, Buffer.from("Too many messages")]);
  for (const socket of flood) socket.terminate();
});

it("forgets who leaves while they wait", async () => {
  const member = await api.member();
  const [large, gone] = await Promise.all([sockets(20, member), signIn(member)]);
  for (const socket of large) socket.send(LARGE);
  await Promise.all(large.map((socket) => once(socket, "message")).slice(0, 1));
  gone.send(CHANGES);
  // Read by now, since it is answered; both wait for what was sent before.
  gone.ping();
  await once(gone, "pong");
  gone.terminate();
  const later = watch(api.wsUrl, member);
  await until(() => api.tail.size > 0);
  later.stop();
  await until(() => api.tail.size === 0);
  for (const socket of large) socket.terminate();
});

/** Jobs of one input, of so many bytes. */
async function create(member: TestMember, jobs: number, bytes: number): Promise<void> {
  const query = `mutation ($j: CreateJobInput!) { createJobs(input: [${"$j ".repeat(jobs)}]) { eventCursor } }`;
  const variables = { j: { jobType: "A", input: { text: "x".repeat(bytes) } } };
  expect((await send(api, query, variables, member.headers)).errors).toBeUndefined();
}

const change = (id: number, selection: string) =>
  JSON.stringify({
    id: String(id),
    type: "subscribe",
    payload: { query: `subscription { jobStatusChanged { ${selection} } }` },
  });

it("sends many changes for many operations one by one, so that others have their turn", async () => {
  const member = await api.member();
  const socket = await signIn(member);
  for (let id = 0; id < 50; id++) socket.send(change(id, "version"));
  await until(() => api.tail.size === 50);
  let messages = 0;
  let turns = 0;
  socket.on("message", () => (messages += 1));
  const turn = () => {
    turns += 1;
    if (messages < 10_000) setImmediate(turn);
  };
  turn();
  await create(member, 200, 1);
  await until(() => messages === 10_000);
  expect(turns).toBeGreaterThan(5_000);
  socket.terminate();
  await until(() => api.tail.size === 0);
});

it("keeps little for a socket that does not read, however many of its operations have something to send", async () => {
  const member = await api.member();
  const socket = await signIn(member);
  for (let id = 0; id < 100; id++) socket.send(change(id, "job { input b: input c: input d: input }"));
  await until(() => api.tail.size === 100);
  socket.pause();
  const before = await heldBytes();
  // A hundred messages of a megabyte, of which the kernel takes some thirty.
  await create(member, 1, 262_000);
  await sleep(3_000);
  expect((await heldBytes()) - before).toBeLessThan(16 * 1024 * 1024);
  let messages = 0;
  socket.on("message", () => (messages += 1));
  socket.resume();
  await until(() => messages === 100);
  socket.terminate();
});
