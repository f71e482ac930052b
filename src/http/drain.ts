import type { Server, ServerResponse } from "node:http";
import net, { type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/** For requests to come that are on their way when a shutdown begins. */
const LINGER_MS = 500;

/**
 * Follows a server's connections, so that it can stop taking them and end each as soon as it owes no answer. Node's own
 * `close` cuts off an answer that is still on its way to a slow reader, and a request that is on its way here.
 * @returns begins the drain; the promise is fulfilled when the last connection is gone.
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
  // Before whoever answers it.
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
    // Connections that wait to be taken would be reset: a whole turn of the event loop takes them.
    await nextTurn();
    await nextTurn();
    const gone = new Promise<void>((resolve) => net.Server.prototype.close.call(server, () => resolve()));
    await Promise.race([gone, sleep(LINGER_MS, undefined, { ref: false })]);
    lingering = false;
    endIdle();
    await gone;
  };
}
