import { storableText } from "../bounds/text.js";
import { JOB } from "../limits/policies.js";
import { StopReason } from "./stop-reason.js";
import { storable } from "./storable.js";

/** The end of an attempt that its handler, its timeout or PostgreSQL made fail. */
export interface FailedOutcome {
  kind: "failed";
  code: string;
  message: string;
  permanent: boolean;
  /** The next attempt comes no sooner; null: the handler did not say. */
  retryAfterMs: number | null;
  /** Where it was thrown, and its causes; left out: it was no handler's error, or has none. */
  stack?: string | undefined;
  /** The job type whose handler failed, where it ran inside the job's own; left out: the job's own. */
  origin?: string;
}

/** How an attempt ended. */
export type Outcome =
  | { kind: "completed"; output: unknown }
  | FailedOutcome
  /** The worker has lost the job, or gave it up while the database was away: nothing is written. */
  | { kind: "lost" }
  /** Cut short by a shutdown: to be handed back. */
  | { kind: "released" };

const MAX_CAUSES = 5;

/** What a handler returned, if PostgreSQL can hold it as JSON. */
export function outcomeOfReturn(output: unknown): Outcome {
  try {
    return { kind: "completed", output: storable(output, "output") };
  } catch (error) {
    return outcomeOfError(error);
  }
}

/** What a handler threw, in view of why its signal fired, if it did. */
export function outcomeOfThrow(error: unknown, signal: AbortSignal): Outcome {
  const reason: unknown = signal.reason;
  return reason instanceof StopReason ? outcomeOfStop(reason) : outcomeOfError(error);
}

/** How an attempt ends whose handler was stopped. */
export function outcomeOfStop({ code, message }: StopReason): Outcome {
  if (code === "lost") return { kind: "lost" };
  if (code === "shutdown") return { kind: "released" };
  return { kind: "failed", code, message, permanent: false, retryAfterMs: null };
}

/** What is left of an outcome that PostgreSQL refused to hold, as in a database whose encoding is not UTF-8. */
export function outcomeOfRefusal(refused: Outcome, reason: string): Outcome {
  const message = storableText(`PostgreSQL cannot hold it: ${reason}`, JOB.errorMessageCharacters);
  if (refused.kind !== "failed") {
    return { kind: "failed", code: "invalid_output", message, permanent: true, retryAfterMs: null };
  }
  // The stack is left out: it may be the very text that was refused.
  return { ...refused, message, stack: undefined };
}

function outcomeOfError(error: unknown): Outcome {
  try {
    const { code, message, name, permanent, retryAfterMs } = Object(error) as Record<string, unknown>;
    const stack = stackOf(error);
    return {
      kind: "failed",
      code: typeof code === "string" && /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : "handler_error",
      message: storableText([message, code, name].find(isText) ?? String(error), JOB.errorMessageCharacters),
      permanent: permanent === true,
      retryAfterMs: isDelay(retryAfterMs) ? Math.min(Math.round(retryAfterMs), JOB.retryDelayMs) : null,
      ...(stack !== "" && { stack }),
    };
  } catch {
    // Anything can be thrown: an object without a text form, or with a getter that throws.
    const message = "The handler's error cannot be read";
    return { kind: "failed", code: "handler_error", message, permanent: false, retryAfterMs: null };
  }
}

function isDelay(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** An error's stack and those of its causes; empty: it has none. */
function stackOf(error: unknown): string {
  const stacks: string[] = [];
  let at = error;
  for (let causes = 0; at !== undefined && causes <= MAX_CAUSES; causes += 1) {
    const { stack, cause } = Object(at) as Record<string, unknown>;
    if (isText(stack)) stacks.push(stack);
    at = cause;
  }
  return storableText(stacks.join("\nCaused by: "), JOB.errorStackCharacters);
}
