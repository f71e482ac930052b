import type { Transaction } from "../database/database.js";
import { type Position, startOf } from "../feed/position.js";
import type { CursorCodec, Cursors } from "./cursors.js";

/** A value, and the place in the tenant's events at which it was read: a subscription after it misses no later change. */
export interface Snapshot<T> {
  value: T;
  eventCursor: string;
}

/** A place in a tenant's events. */
export const EVENT_PLACE: CursorCodec<Position> = {
  kind: "event",
  bytes: 16,
  encode({ position, id }) {
    const payload = Buffer.alloc(16);
    payload.writeBigInt64BE(position, 0);
    payload.writeBigInt64BE(id, 8);
    return payload;
  },
  decode: (payload) => ({ position: payload.readBigInt64BE(0), id: payload.readBigInt64BE(8) }),
};

/**
 * The cursor that goes with an answer: the place of its transaction's start. Whatever the transaction's snapshot did not have
 * comes after it.
 * @param shown what the answer has; it may be ahead of that place.
 */
export function eventCursorOf(
  cursors: Cursors,
  tenantId: string,
  { head }: Pick<Transaction, "head">,
  shown: readonly { position: bigint }[],
): string {
  const seen = shown.reduce((last, { position }) => (position > last ? position : last), 0n);
  return cursors.seal(EVENT_PLACE, tenantId, startOf(head, seen));
}
