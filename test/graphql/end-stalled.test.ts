import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { WebSocket, WebSocketServer } from "ws";
import { endStalled } from "../../src/graphql/socket/end-stalled.js";
import { connectTo, openSocketServer } from "../support/socket-pair.js";

const BOUNDS = { stallMs: 1_000, checkMs: 100 };
const MESSAGE = Buffer.alloc(64 * 1024);
/** More than a kernel takes for a reader that does not read. */
const MANY = 2_000;

let server: WebSocketServer;
beforeAll(async () => {
  server = await openSocketServer();
});
afterAll(() => server.close());

/** A socket, as its server and as its client have it. */
async function connect(): Promise<[served: WebSocket, client: WebSocket]> {
  const { served, connection, client } = await connectTo(server);
  endStalled(served, connection, BOUNDS);
  return [served, client];
}

it("ends a socket whose client takes nothing of what waits for it", async () => {
  const [served, client] = await connect();
  client.pause();
  for (let n = 0; n < MANY; n++) served.send(MESSAGE);
  expect(await once(served, "close")).toEqual([1006, expect.anything()]);
  client.terminate();
});

it("leaves one whose client takes it slowly", async () => {
  const [served, client] = await connect();
  client.pause();
  for (let n = 0; n < MANY; n++) served.send(MESSAGE);
  let ended = false;
  served.once("close", () => (ended = true));
  let taken = 0;
  client.on("message", () => (++taken % 50 === 0 ? client.pause() : undefined));
  for (const until = performance.now() + 3 * BOUNDS.stallMs; performance.now() < until;) {
    client.resume();
    await sleep(BOUNDS.stallMs / 4);
  }
  expect(taken).toBeLessThan(MANY);
  expect([ended, served.bufferedAmount > 0]).toEqual([false, true]);
  client.terminate();
});

it("leaves one for which nothing waits", async () => {
  const [served, client] = await connect();
  let ended = false;
  served.once("close", () => (ended = true));
  await sleep(2 * BOUNDS.stallMs);
  expect(ended).toBe(false);
  client.terminate();
});
