import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { atEnd } from "./use.js";

/** Two ends of one WebSocket. */
export interface SocketPair {
  /** As a server has it, with the connection that carries it. */
  served: WebSocket;
  connection: Socket;
  client: WebSocket;
}

/** A WebSocket server without a protocol. */
export async function openSocketServer(): Promise<WebSocketServer> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return server;
}

/** Connects to a server to which nobody else connects meanwhile. */
export async function connectTo(server: WebSocketServer): Promise<SocketPair> {
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const connected = once(server, "connection") as Promise<[WebSocket, IncomingMessage]>;
  atEnd(() => client.terminate());
  const [[served, { socket }]] = await Promise.all([connected, once(client, "open")]);
  return { served, connection: socket, client };
}
