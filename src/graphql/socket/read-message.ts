import { MessageType } from "graphql-ws";
import { exactNumber } from "../../bounds/exact-json.js";
import { SOCKETS } from "../../limits/policies.js";

const SERVER_MESSAGES = new Set<unknown>([MessageType.ConnectionAck, MessageType.Next, MessageType.Error]);

/**
 * The reviver with which a message is parsed: it keeps numbers as they are written. It refuses what graphql-ws would answer
 * with a line on the console and a close with 4500: a message of a kind that only servers send, and an id so long that the
 * reason of a close would pass its 123 bytes.
 */
export function readMessage(key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  if (typeof value === "number" && source !== undefined) return exactNumber(source);
  if (key !== "" || typeof value !== "object" || value === null) return value;
  const { id, type } = value as { id?: unknown; type?: unknown };
  if (SERVER_MESSAGES.has(type)) throw new TypeError("Only a server sends this");
  if (type === MessageType.Subscribe && typeof id === "string" && Buffer.byteLength(id) > SOCKETS.idBytes) {
    throw new RangeError("The id is too long");
  }
  return value;
}
