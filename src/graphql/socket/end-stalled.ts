import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { CONNECTIONS } from "../../limits/policies.js";

const BOUNDS: { stallMs: number; checkMs: number } = { stallMs: CONNECTIONS.silenceMs, checkMs: 10_000 };

/**
 * Ends a socket on which nothing has been taken for a while: what waits for it is held in memory.
 * @param connection that carries it.
 * @param bounds for tests.
 */
export function endStalled(client: WebSocket, connection: Socket, { stallMs, checkMs } = BOUNDS): void {
  let before = { waiting: 0, sending: 0 };
  let stalledMs = 0;
  const timer = setInterval(() => {
    const now = { waiting: client.bufferedAmount, sending: sendingOf(connection) };
    const stalled = now.waiting > 0 && now.waiting >= before.waiting && now.sending === before.sending;
    stalledMs = stalled ? stalledMs + checkMs : 0;
    before = now;
    if (stalledMs >= stallMs) client.terminate();
  }, checkMs).unref();
  client.once("close", () => clearInterval(timer));
}

/**
 * What is left of the write that is under way, in bytes, as Node's own timeout of a socket looks at it. All that waits
 * together is one write, and `bufferedAmount` counts it until its last byte is taken.
 */
function sendingOf(connection: Socket): number {
  const { _handle: handle } = connection as unknown as { _handle?: { writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? 0;
}
