import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { WebSocket, WebSocketServer } from "ws";
import { Flow } from "../../src/graphql/socket/flow.js";
import { connectTo, openSocketServer } from "../support/socket-pair.js";

let server: WebSocketServer;
beforeAll(async () => {
  server = await openSocketServer();
});
afterAll(() => server.close());

const MIB = 1024 * 1024;

/** Sends until so many bytes wait that the kernel has not taken. */
function fill(socket: WebSocket): void {
  while (socket.bufferedAmount <= 8 * MIB) socket.send(Buffer.alloc(MIB));
}

it("a message waits while more than a megabyte of a socket's waits to be sent", async () => {
  const flow = new Flow();
  const { served, client } = await connectTo(server);
  client.pause();
  fill(served);
  let mayBeSent = false;
  const waiting = flow.untilBufferHasRoom(served).then(() => (mayBeSent = true));
  await sleep(100);
  expect(mayBeSent).toBe(false);
  client.resume();
  await waiting;
  expect(served.bufferedAmount).toBeLessThanOrEqual(MIB);
  client.terminate();
});

it("messages wait no longer than their socket lasts", async () => {
  const flow = new Flow();
  const { served, client } = await connectTo(server);
  client.pause();
  fill(served);
  const waiting = [flow.untilBufferHasRoom(served), flow.untilBufferHasRoom(served)];
  served.terminate();
  await expect(Promise.all(waiting)).resolves.toHaveLength(2);
  client.terminate();
});

it("a user's messages on one socket delay their operations on another, and nobody else's", async () => {
  const flow = new Flow();
  const pairs = [await connectTo(server), await connectTo(server), await connectTo(server)];
  for (const { served, connection } of pairs) flow.watch(served, connection);
  const [one, other, stranger] = pairs.map(({ served }) => served) as [WebSocket, WebSocket, WebSocket];
  for (const socket of [one, other]) flow.identify(socket, "a");
  const received = once(one, "message");
  // An eighth of a megabyte is ahead of the pace, and half a megabyte a second is the pace.
  pairs[0]?.client.send(Buffer.alloc(384 * 1024));
  await received;
  const order: string[] = [];
  await Promise.all([
    flow.untilPaceAllows(other).then(() => order.push("another socket of the user")),
    flow.untilPaceAllows(stranger).then(() => order.push("a stranger")),
  ]);
  expect(order).toEqual(["a stranger", "another socket of the user"]);
  for (const { client } of pairs) client.terminate();
});
