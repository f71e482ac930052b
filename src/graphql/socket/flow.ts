import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { WebSocket } from "ws";
import { Pace } from "../../limits/pace.js";
import { MESSAGES, SOCKETS } from "../../limits/policies.js";
import { endStalled } from "./end-stalled.js";

/** A message, a ping or a pong that is smaller counts as so many bytes. */
const LEAST_BYTES = {
  message: SOCKETS.leastMessageBytes,
  ping: SOCKETS.leastPingBytes,
  pong: SOCKETS.leastPingBytes,
};
/** With more that waits to be sent, nothing is added. */
const ROOM_BYTES = 1024 * 1024;
const ROOM_CHECK_MS = 20;
/** For the answer to a close. */
const CLOSE_BOUND_MS = 1_000;

/** How fast sockets are read, and how much waits to be sent on each. */
export class Flow {
  private readonly pace = new Pace(MESSAGES);
  /** Per socket: its user, or a name of its own until it has signed in. */
  private readonly senders = new WeakMap<WebSocket, string>();
  /** Per socket: resolves when the last message that waits may be sent. */
  private readonly sending = new WeakMap<WebSocket, Promise<void>>();

  /**
   * Counts what is read of a socket from now on, and ends it when its client takes nothing of what waits for it. To be called
   * once graphql-ws has the socket.
   * @param connection that carries it.
   */
  watch(socket: WebSocket, connection: Socket): void {
    endStalled(socket, connection);
    for (const [sent, leastBytes] of Object.entries(LEAST_BYTES)) {
      // Before graphql-ws is told of the message.
      socket.prependListener(sent, ({ length }: Buffer) => this.count(socket, Math.max(length, leastBytes)));
    }
  }

  /** Counts what a socket sends with what its user sends on others. */
  identify(socket: WebSocket, userId: string): void {
    this.senders.set(socket, userId);
  }

  /** Waits while a socket's user has sent more than their share. */
  async untilPaceAllows(socket: WebSocket): Promise<void> {
    await this.pace.turn(this.senderOf(socket));
  }

  /**
   * Waits until less than a megabyte waits to be sent on a socket, or it has closed. The messages of its operations are
   * sent one after the other, each in a turn of the event loop of its own: a thousand changes for a hundred operations are a
   * hundred thousand messages, and others have their turn between them. A client that reads slowly delays its own alone.
   */
  untilBufferHasRoom(socket: WebSocket): Promise<void> {
    const hasRoom = async (): Promise<void> => {
      await setImmediate();
      while (socket.readyState === socket.OPEN && socket.bufferedAmount > ROOM_BYTES) await sleep(ROOM_CHECK_MS);
    };
    const mayBeSent = (this.sending.get(socket) ?? Promise.resolve()).then(hasRoom);
    this.sending.set(socket, mayBeSent);
    return mayBeSent;
  }

  /** Has a socket wait whose user has sent more than their share, and closes it with 4429 when that would last too long. */
  private count(socket: WebSocket, bytes: number): void {
    if (socket.bufferedAmount > SOCKETS.unreadBytes) socket.terminate();
    const sender = this.senderOf(socket);
    this.pace.spend(sender, bytes);
    const waitMs = this.pace.waitMs(sender);
    if (waitMs === 0 || socket.isPaused) return;
    socket.pause();
    if (waitMs <= SOCKETS.messageWaitMs) {
      setTimeout(() => socket.resume(), waitMs).unref();
      return;
    }
    socket.close(4429, "Too many messages");
    // Its answer is not read any more.
    setTimeout(() => socket.terminate(), CLOSE_BOUND_MS).unref();
  }

  private senderOf(socket: WebSocket): string {
    const known = this.senders.get(socket);
    if (known !== undefined) return known;
    const unknown = randomUUID();
    this.senders.set(socket, unknown);
    return unknown;
  }
}
