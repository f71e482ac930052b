import type { Position } from "./position.js";

/** The events cannot be read on from a place: retention has removed what follows it, or a failover has lost what it has passed. */
export class ExpiredPosition extends Error {
  override readonly name = "ExpiredPosition";

  /** @param head a place from which they can, without what is gone. */
  constructor(
    readonly gap: "pruned" | "lost",
    readonly head: Position,
  ) {
    super(`the position is ${gap}`);
  }
}

/**
 * A stream has ended that can be begun again: its subscriber was behind by more events than its queue holds, or a failover may have
 * lost what it was sent.
 */
export class EndedStream extends Error {
  override readonly name = "EndedStream";

  /** @param last the place of the last event sent. */
  constructor(
    readonly why: "slow consumer" | "failover",
    readonly last: Position,
  ) {
    super(`the stream has ended: ${why}`);
  }
}
