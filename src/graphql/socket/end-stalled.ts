import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { CONNECTIONS } from "../../limits/policies.js";

const BOUNDS: { stallMs: number; checkMs: number } = { stallMs: CONNECTIONS.silenceMs, checkMs: 10_000 };

/**
 * Ends a socket whose client has taken nothing for a while of what waits for it, which is held in memory.
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
 * How many bytes are left of the write that is under way; Node's own timeout of a socket reads the same field. Needed because
 * all that waits is one write, of which `bufferedAmount` counts every byte until the last one is taken.
 */
function sendingOf(connection: Socket): number {
  const { _handle: handle } = connection as unknown as { _handle?: { writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? 0;
}
