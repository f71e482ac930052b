import { numberFault, parseJson } from "../bounds/exact-json.js";
import { jsonSize } from "../bounds/json-size.js";
import { holdsUnstorableText } from "../bounds/text.js";
import { type Json, PermanentError } from "../handlers/handler.js";
import { JOB } from "../limits/policies.js";

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
  if (bytes > JOB.outputBytes) throw refuse(`must be at most ${JOB.outputBytes} bytes as JSON, got ${bytes}`);
  if (holdsUnstorableText(json)) throw refuse("must not contain NUL characters or lone surrogates");
  return stored;
}
