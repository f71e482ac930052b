import type { Position } from "./position.js";

/** Reading cannot go on from a place: retention has removed events after it (`pruned`), or a failover has lost events before it (`lost`). */
export class ExpiredPosition extends Error {
  override readonly name = "ExpiredPosition";

  /** @param head a place from which reading can go on; the events that are gone are skipped. */
  constructor(
    readonly gap: "pruned" | "lost",
    readonly head: Position,
  ) {
    super(`the position is ${gap}`);
  }
}

/**
 * A stream has ended, and can be begun again after its last event. `slow consumer`: the subscriber was behind by more events
 * than its queue holds; `failover`: the database may have lost events that were sent.
 */
export class EndedStream extends Error {
  override readonly name = "EndedStream";

  /** @param last the place of the last event sent, or of the stream's start. */
  constructor(
    readonly why: "slow consumer" | "failover",
    readonly last: Position,
  ) {
    super(`the stream has ended: ${why}`);
  }
}
