import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import { endStalled } from "../../src/graphql/socket/end-stalled.js";

const BOUNDS = { stallMs: 1_000, checkMs: 100 };
const MESSAGE = Buffer.alloc(64 * 1024);
/** More than a kernel takes for a reader that does not read. */
const MANY = 2_000;

let server: WebSocketServer;
beforeAll(async () => {
  server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
});
afterAll(() => server.close());

/** A socket, as its server and as its client have it. */
async function connect(): Promise<[served: WebSocket, client: WebSocket]> {
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const connected = once(server, "connection") as Promise<[WebSocket, IncomingMessage]>;
  const [[served, { socket }]] = await Promise.all([connected, once(client, "open")]);
  endStalled(served, socket, BOUNDS);
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
