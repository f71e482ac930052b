import type { Server, ServerResponse } from "node:http";
import net, { type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/** How long a shutdown still takes requests that were sent before it began. */
const LINGER_MS = 500;

/**
 * Follows a server's connections, so that it can stop taking them and end each once its last request is answered. Node's own
 * `close` cuts off an answer that a slow reader has not read to its end, and a request that has been sent and not yet read.
 * @returns a function that begins the drain; its promise is fulfilled when the last connection has ended.
 */
export function prepareDrain(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  const owed = new Set<ServerResponse>();
  let draining = false;
  let lingering = true;
  const endIdle = (): void => {
    const busy = new Set([...owed].map((response) => response.req.socket));
    for (const socket of sockets) if (!busy.has(socket)) socket.destroySoon();
  };
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // Before the listener that answers: it may send the headers at once.
  server.prependListener("request", (_request, response) => {
    if (draining) response.setHeader("Connection", "close");
    owed.add(response);
    response.once("close", () => {
      owed.delete(response);
      if (draining && !lingering) endIdle();
    });
  });
  return async () => {
    draining = true;
    for (const response of owed) if (!response.headersSent) response.setHeader("Connection", "close");
    // The close would reset connections that wait in the kernel; in a whole turn of its event loop Node accepts them.
    await nextTurn();
    await nextTurn();
    const gone = new Promise<void>((resolve) => net.Server.prototype.close.call(server, () => resolve()));
    await Promise.race([gone, sleep(LINGER_MS, undefined, { ref: false })]);
    lingering = false;
    endIdle();
    await gone;
  };
}
