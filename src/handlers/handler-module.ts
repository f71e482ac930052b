import { inspect } from "node:util";
import { z } from "zod";
import { JOB } from "../limits/policies.js";
import type { Handler, JsonObject, RegisteredHandler } from "./handler.js";
import { checkedBy } from "./input-schema.js";

const wholeNumber = (min: number, max: number) => {
  const bound = {
    error: ({ input }: { input?: unknown }) => `must be a whole number, ${min}–${max}, got ${inspect(input)}`,
  };
  return z.int(bound).min(min, bound).max(max, bound);
};

const backoff = z
  .strictObject(
    { firstMs: wholeNumber(0, JOB.retryDelayMs), maxMs: wholeNumber(0, JOB.retryDelayMs) },
    "must be {firstMs, maxMs}",
  )
  .refine(({ firstMs, maxMs }) => firstMs <= maxMs, "must have a firstMs that is at most its maxMs");

const handlerModule = z.object({
  default: z.custom<Handler>((value) => typeof value === "function", {
    error: ({ input }) => `must be a function, got ${input === null ? "null" : typeof input}`,
  }),
  maxAttempts: wholeNumber(1, JOB.maxAttempts).nullable().default(null),
  backoff: backoff.nullable().default(null),
  timeoutMs: wholeNumber(1, JOB.timeoutMs).nullable().default(null),
  isolate: z
    .literal("process", { error: ({ input }) => `must be "process", got ${inspect(input)}` })
    .nullable()
    .default(null),
  inputSchema: z.record(z.string(), z.json(), "must be a JSON Schema").nullable().default(null),
});

/**
 * Reads what a handler's module exports: the handler as its default, and what else it names for its job type. Exports that
 * it does not know are the module's own business.
 * @throws an error that names each export that is out of bounds, and the bound.
 */
export function parseHandlerModule(exports: unknown): RegisteredHandler {
  const parsed = handlerModule.safeParse(exports);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `its ${exportName(path)} ${message}`);
    throw new Error(problems.join("; "));
  }
  const { default: handler, inputSchema, ...settings } = parsed.data;
  return { handler: inputSchema === null ? handler : checked(inputSchema, handler), ...settings };
}

function checked(inputSchema: JsonObject, handler: Handler): Handler {
  try {
    return checkedBy(inputSchema, handler);
  } catch (error) {
    throw new Error(`its export inputSchema must be a JSON Schema: ${(error as Error).message}`, { cause: error });
  }
}

function exportName([name, ...inside]: readonly PropertyKey[]): string {
  return name === "default" ? "default export" : `export ${[name, ...inside].map(String).join(".")}`;
}
