/**
 * A place in the order of all events: by transaction, then by id. Transactions commit out of order, so events are read
 * only below the watermark, the oldest transaction that is still open: no event can appear there any more.
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

/**
 * The place before every event at this position.
 * @param seen the last position among the data that were read with it, which may be ahead of the watermark. It is stored as a
 * negative id, which no event has: cursors made before there was `seen` keep their form.
 */
export function startOf(position: bigint, seen = 0n): Position {
  const before = position - 1n;
  return { position, id: seen > before ? before - seen : 0n };
}

/** The last position of which a reader at this place may have seen data. */
export function reachOf({ position, id }: Position): bigint {
  return id > 0n ? position : position - 1n - id;
}
