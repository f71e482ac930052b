import { once } from "node:events";
import { randomUUID } from "node:crypto";
import type { WebSocketServer } from "ws";
import type { Viewer } from "../../src/auth/viewer.js";
import { Operations } from "../../src/graphql/socket/operations.js";
import { connectTo, openSocketServer } from "../support/socket-pair.js";

let server: WebSocketServer;
beforeAll(async () => {
  server = await openSocketServer();
});
afterAll(() => server.close());

const VIEWER: Viewer = {
  tenantId: randomUUID(),
  userId: randomUUID(),
  role: "member",
  seatType: "free_beta",
  expiresAt: new Date(Date.now() + 60_000),
};

const LIMITED = { message: "A user may have 1 subscriptions on sockets", extensions: { code: "RATE_LIMITED" } };

it("an id whose operation is not over closes its socket, and one that is over begins again", async () => {
  const operations = new Operations({ perUser: 10, perTenant: 10 });
  const { served, client } = await connectTo(server);
  expect(operations.begin(served, "a", VIEWER)).toBeNull();
  operations.end(served, "a");
  expect(operations.begin(served, "a", VIEWER)).toBeNull();
  const closed = once(client, "close");
  expect(operations.begin(served, "a", VIEWER)).toMatchObject({
    message: "An operation with this id is not over",
    extensions: { code: "BAD_REQUEST" },
  });
  expect((await closed)[0]).toBe(4409);
});

it("an operation that ends twice gives back one slot", async () => {
  const operations = new Operations({ perUser: 1, perTenant: 10 });
  const { served, client } = await connectTo(server);
  expect(operations.begin(served, "a", VIEWER)).toBeNull();
  expect(operations.begin(served, "b", VIEWER)).toMatchObject(LIMITED);
  operations.end(served, "a");
  operations.end(served, "a");
  expect(operations.begin(served, "b", VIEWER)).toBeNull();
  expect(operations.begin(served, "c", VIEWER)).toMatchObject(LIMITED);
  client.terminate();
});

it("a socket that closes gives back the slots of all its operations", async () => {
  const operations = new Operations({ perUser: 2, perTenant: 10 });
  const [one, other] = [await connectTo(server), await connectTo(server)];
  for (const id of ["a", "b"]) expect(operations.begin(one.served, id, VIEWER)).toBeNull();
  expect(operations.begin(other.served, "a", VIEWER)).not.toBeNull();
  const closed = once(one.served, "close");
  one.client.terminate();
  await closed;
  for (const id of ["a", "b"]) expect(operations.begin(other.served, id, VIEWER)).toBeNull();
  other.client.terminate();
});
