import { execFile } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

/** Servers that take a connection and never acknowledge it. */
const SERVERS = {
  "that does not answer the upgrade": () => undefined,
  "that goes away before it answers the upgrade": (socket: Socket) => setTimeout(() => socket.destroy(), 50),
  "that answers the upgrade alone": (socket: Socket) => upgrade(socket),
  "that goes away after the upgrade": (socket: Socket) => {
    upgrade(socket);
    setTimeout(() => socket.destroy(), 50);
  },
  "that closes after the upgrade": (socket: Socket) => {
    upgrade(socket, (client) => setTimeout(() => client.close(1001), 50));
  },
} satisfies Record<string, (socket: Socket) => unknown>;

/** A connection that is not acknowledged is given up after ten seconds. */
const BOUND_MS = 25_000;

const WEB_SOCKETS = { "Node's WebSocket": "WebSocket", "ws' WebSocket": '(await import("ws")).WebSocket' };

/** Watches, and stops when it is told to on its standard input; nothing keeps its process alive then. */
const watcher = (url: string, webSocket: string): string => `
  import { createAtlasClient } from "./dist/client/index.js";
  const webSocketImpl = ${webSocket};
  const stopped = new AbortController();
  process.stdin.once("data", () => {
    stopped.abort();
    process.stdin.destroy();
  });
  const client = createAtlasClient({ url: "${url}", tenantId: "t", token: "x", webSocketImpl });
  for await (const change of client.watch({ after: "c", signal: stopped.signal })) console.log(change);
  console.log("stopped");`;

function upgrade(socket: Socket, then: (client: WebSocket) => void = () => undefined): void {
  const server = new WebSocketServer({ noServer: true });
  socket.once("data", (head) => {
    const [, key = ""] = /Sec-WebSocket-Key: (\S+)/i.exec(String(head)) ?? [];
    const headers = { upgrade: "websocket", "sec-websocket-key": key, "sec-websocket-version": "13" };
    const request = { method: "GET", headers: { ...headers, "sec-websocket-protocol": "graphql-transport-ws" } };
    server.handleUpgrade(request as never, socket, Buffer.alloc(0), then);
  });
}

/** Runs a watcher in a process of its own, and stops it while it is connecting for the nth time. */
async function watchAndStop(serve: (socket: Socket) => unknown, webSocket: string, nth: number): Promise<string> {
  let connections = 0;
  const open = new Set<Socket>();
  const reached = Promise.withResolvers<void>();
  const server = net.createServer((socket) => {
    connections += 1;
    open.add(socket);
    socket.on("error", () => undefined).once("close", () => open.delete(socket));
    serve(socket);
    if (connections === nth) reached.resolve();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const script = watcher(`http://127.0.0.1:${port}`, webSocket);
  const ended = Promise.withResolvers<string>();
  const args = ["--input-type=module", "-e", script];
  const child = execFile(process.execPath, args, { timeout: BOUND_MS }, (error, stdout, stderr) => {
    ended.resolve(error === null ? stdout.trim() : `${error.signal ?? "exit"} ${stdout} ${stderr}`);
  });
  await Promise.race([reached.promise, ended.promise]);
  child.stdin?.on("error", () => undefined).end("stop");
  const outcome = await ended.promise;
  for (const socket of open) socket.destroy();
  server.close();
  return outcome;
}

describe("a watcher's process", () => {
  const cases = Object.entries(WEB_SOCKETS).flatMap(([name, webSocket]) =>
    Object.entries(SERVERS).map(([server, serve]) => ({ name, webSocket, server, serve })),
  );

  it.each([
    ["tries again after", 2],
    ["can be stopped while it connects to", 1],
  ])("%s a server that takes connections and does not acknowledge them", async (_what, nth) => {
    const outcomes = cases.map(async ({ name, webSocket, server, serve }) => [
      `${name}, a server ${server}`,
      await watchAndStop(serve, webSocket, nth),
    ]);
    expect(await Promise.all(outcomes)).toEqual(
      cases.map(({ name, server }) => [`${name}, a server ${server}`, "stopped"]),
    );
  });
});
