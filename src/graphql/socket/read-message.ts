import { MessageType } from "graphql-ws";
import { exactNumber } from "../../bounds/exact-json.js";
import { SOCKETS } from "../../limits/policies.js";

const SERVER_MESSAGES = new Set<unknown>([MessageType.ConnectionAck, MessageType.Next, MessageType.Error]);

/**
 * Keeps, while a message is parsed, numbers as they stand, and refuses one that graphql-ws would fail over, printing to
 * the console and closing with 4500: one that servers send, and an id that makes the reason of a close longer than a close
 * can carry.
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
