/** Why a handler's signal fired. */
export type StopCode = "canceled" | "lost" | "timeout" | "shutdown";

/** The `reason` of a handler's signal. */
export class StopReason extends Error {
  override readonly name = "StopReason";

  constructor(
    readonly code: StopCode,
    message: string,
  ) {
    super(message);
  }
}
