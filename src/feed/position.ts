/**
 * A place in the order of all events: by transaction, then by id. Transactions commit out of order, so events are read
 * only below the watermark, under which no transaction is open any more: that order never grows in the past.
 */
export interface Position {
  position: bigint;
  id: bigint;
}

/** Less than zero when `a` comes before `b`, zero when they are the same. */
export function comparePositions(a: Position, b: Position): number {
  if (a.position !== b.position) return a.position < b.position ? -1 : 1;
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

/** The place before every event at this position. */
export function startOf(position: bigint): Position {
  return { position, id: 0n };
}
