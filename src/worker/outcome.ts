import { StopReason } from "./stop-reason.js";

/** How an attempt ended. */
export type Outcome =
  | { kind: "completed"; output: unknown }
  | { kind: "failed"; code: string; message: string; permanent: boolean }
  /** Taken away: there is nothing to write. */
  | { kind: "lost" }
  /** Cut short by a shutdown: to be handed back. */
  | { kind: "released" };

const MAX_OUTPUT_BYTES = 1024 * 1024;
const MAX_MESSAGE_CHARACTERS = 2_000;

/** What a handler returned, if PostgreSQL can hold it as JSON. */
export function outcomeOfReturn(output: unknown): Outcome {
  try {
    return { kind: "completed", output: storable(output, "output") };
  } catch (error) {
    return failed("invalid_output", error instanceof Error ? error.message : String(error), true);
  }
}

/** What a handler threw, in view of why its signal fired, if it did. */
export function outcomeOfThrow(error: unknown, signal: AbortSignal): Outcome {
  const reason: unknown = signal.aborted ? signal.reason : null;
  if (reason instanceof StopReason) {
    if (reason.code === "lost") return { kind: "lost" };
    if (reason.code === "shutdown") return { kind: "released" };
    return failed(reason.code, reason.message, false);
  }
  const { code, permanent } = Object(error) as { code?: unknown; permanent?: unknown };
  return failed(
    typeof code === "string" && /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : "handler_error",
    error instanceof Error ? error.message : String(error),
    permanent === true,
  );
}

/**
 * A value as JSON that PostgreSQL can hold; undefined becomes null.
 * @throws with `what` and the bound when it cannot
 */
export function storable(value: unknown, what: string): unknown {
  const json = JSON.stringify(value ?? null) as string | undefined;
  if (json === undefined) throw new Error(`the ${what} must be a JSON value`);
  if (Buffer.byteLength(json) > MAX_OUTPUT_BYTES)
    throw new Error(`the ${what} must be at most ${MAX_OUTPUT_BYTES} bytes as JSON`);
  // JSON.stringify writes NUL and lone surrogates as escapes, which jsonb refuses.
  if (/(^|[^\\])(\\\\)*\\u(0000|d[89a-f][0-9a-f]{2})/.test(json)) {
    throw new Error(`the ${what} must not contain NUL characters or lone surrogates`);
  }
  return JSON.parse(json);
}

function failed(code: string, message: string, permanent: boolean): Outcome {
  const clean = message.toWellFormed().replaceAll("\0", "\uFFFD").slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed();
  return { kind: "failed", code, message: clean, permanent };
}
