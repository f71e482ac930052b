import { once } from "node:events";
import { WebSocket } from "ws";
import type { Operation } from "./documents.js";

interface Result {
  data?: Record<string, unknown> | null;
  errors?: { extensions: Record<string, unknown> }[];
}

/** A socket whose every frame is kept. */
export interface AttackSocket {
  /** What subscriptions have been sent, errors of whole operations too. */
  results: Result[];
  /** The frames as they came, and the reason for the close. */
  received(): string;
  /** The close code. */
  closed: Promise<number>;
  subscribe(operation: Operation): void;
  close(): void;
}

/** Connects with these parameters, and waits until they are acknowledged or refused. */
export async function openSocket(wsUrl: string, parameters: Record<string, string>): Promise<AttackSocket> {
  const socket = new WebSocket(wsUrl, "graphql-transport-ws");
  const frames: string[] = [];
  const results: Result[] = [];
  const closed = once(socket, "close").then(([code, reason]) => {
    frames.push(String(reason));
    return code as number;
  });
  await once(socket, "open");
  socket.on("message", (message: Buffer) => {
    frames.push(message.toString());
    const { type, payload } = JSON.parse(message.toString()) as { type: string; payload: unknown };
    if (type === "next") results.push(payload as Result);
    if (type === "error") results.push({ errors: payload as NonNullable<Result["errors"]> });
  });
  const settled = Promise.race([once(socket, "message"), closed]);
  socket.send(JSON.stringify({ type: "connection_init", payload: parameters }));
  await settled;
  return {
    results,
    received: () => frames.join("\n"),
    closed,
    subscribe: (payload) => socket.send(JSON.stringify({ id: "1", type: "subscribe", payload })),
    close: () => socket.close(),
  };
}
