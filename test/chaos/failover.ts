/** A standby's promotion, which loses what the old primary committed last. */
export interface Failover {
  /** The standby has all that was committed by then (ms since 1970). */
  safeAt: number;
  /** The old primary had ended by then (ms since 1970): what is committed later, stays. */
  endedAt: number;
  /** Every event before this position was committed by `safeAt`. */
  safePosition: bigint;
}

/** Whether what was asked and answered then may have been lost without anybody's fault. */
export function mayBeLost(failovers: readonly Failover[], askedAt: number, answeredAt: number): boolean {
  return failovers.some(({ safeAt, endedAt }) => answeredAt >= safeAt && askedAt <= endedAt);
}
