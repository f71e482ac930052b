import { numberFault, parseJson } from "../bounds/exact-json.js";
import { type Json, MAX_OUTPUT_BYTES, PermanentError } from "../handlers/handler.js";
import { jsonSize } from "../bounds/json-size.js";

// JSON.stringify writes these as escapes, which jsonb refuses. An even number of backslashes before is text.
const NUL_OR_LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/;

/**
 * A handler's value as JSON that PostgreSQL can hold; undefined becomes null.
 * @throws {PermanentError} `invalid_output` or `invalid_checkpoint`, with the bound.
 */
export function storable(value: unknown, what: "output" | "checkpoint"): Json {
  const refuse = (fault: string) => new PermanentError(`the ${what} ${fault}`, `invalid_${what}`);
  let json: string | undefined;
  try {
    json = JSON.stringify(value ?? null) as string | undefined;
  } catch (error) {
    throw refuse(`must be a JSON value: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (json === undefined) throw refuse(`must be a JSON value, got a ${typeof value}`);
  const stored = parseJson(json, (token) => {
    throw refuse(numberFault(token));
  }) as Json;
  const bytes = jsonSize(stored);
  if (bytes > MAX_OUTPUT_BYTES) throw refuse(`must be at most ${MAX_OUTPUT_BYTES} bytes as JSON, got ${bytes}`);
  if (NUL_OR_LONE_SURROGATE.test(json)) throw refuse("must not contain NUL characters or lone surrogates");
  return stored;
}
