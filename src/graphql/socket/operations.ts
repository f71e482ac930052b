import { GraphQLError } from "graphql";
import type { WebSocket } from "ws";
import { memberKey } from "../../auth/authenticator.js";
import type { Viewer } from "../../auth/viewer.js";
import { AtlasError } from "../../errors.js";
import { SOCKETS } from "../../limits/policies.js";
import { type SlotLimits, Slots } from "../../limits/slots.js";
import { asGraphqlError } from "../api/errors.js";

/** The operations on sockets that are not over, by the ids that their clients gave them. */
export class Operations {
  private readonly slots: Slots;
  /** By socket and id, what gives the operation's slot back. */
  private readonly running = new WeakMap<WebSocket, Map<string, () => void>>();

  constructor(limits: SlotLimits) {
    this.slots = new Slots(limits, "subscriptions on sockets");
  }

  /**
   * Counts an operation, until it ends or its socket closes. An id whose operation is not over closes the socket with 4409:
   * graphql-ws keeps one stream for each id, and would lose sight of the other.
   * @returns why it may not begin; null: it may.
   */
  begin(socket: WebSocket, id: string, viewer: Viewer): GraphQLError | null {
    const running = this.runningOn(socket);
    if (running.has(id)) {
      const reason = "An operation with this id is not over";
      socket.close(4409, reason);
      return new GraphQLError(reason, { extensions: { code: "BAD_REQUEST" } });
    }
    if (running.size >= SOCKETS.operations) {
      return asGraphqlError(
        new AtlasError("rate_limit_exceeded", `A socket may have ${SOCKETS.operations} operations`),
      );
    }
    try {
      running.set(id, this.slots.enter({ user: memberKey(viewer), tenant: viewer.tenantId }));
    } catch (error) {
      return asGraphqlError(error as AtlasError);
    }
    return null;
  }

  /** To be told when an operation is over; a second time does nothing. */
  end(socket: WebSocket, id: string): void {
    const running = this.running.get(socket);
    running?.get(id)?.();
    running?.delete(id);
  }

  private runningOn(socket: WebSocket): Map<string, () => void> {
    const known = this.running.get(socket);
    if (known !== undefined) return known;
    const running = new Map<string, () => void>();
    this.running.set(socket, running);
    socket.once("close", () => {
      for (const id of running.keys()) this.end(socket, id);
    });
    return running;
  }
}
