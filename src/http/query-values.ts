import type { Request } from "express";
import { shortened } from "../bounds/text.js";
import { type ErrorDetail, invalidInput } from "../errors.js";
import { ERROR_REPORTS } from "../limits/policies.js";

/** What the query gives under any of these names, however often; a name without a value gives nothing. */
export function queryValues(request: Request, ...names: string[]): string[] {
  return names
    .flatMap((name): unknown => request.query[name])
    .filter((one): one is string => typeof one === "string" && one !== "");
}

/** What the query gives under any of these names; null when it gives nothing. @throws AtlasError `invalid_input` for several values */
export function oneQueryValue(request: Request, ...names: [string, ...string[]]): string | null {
  const [value = null, ...others] = new Set(queryValues(request, ...names));
  if (others.length > 0) throw invalidInput([{ path: names[0], message: "must be given once" }]);
  return value;
}

/**
 * Refuses names that a route does not know, and names without a value, as a script with an unset variable sends them: it would
 * be answered as if it had not asked. The legacy API's routes ignore both and are not checked.
 * @throws AtlasError `invalid_input`
 */
export function checkQuery(request: Request, known: readonly string[]): void {
  const faults = Object.entries(request.query).flatMap(([name, value]): ErrorDetail[] => {
    if (!known.includes(name)) return [unknown(name, known)];
    return [value].flat().includes("") ? [{ path: name, message: "must not be empty" }] : [];
  });
  if (faults.length > 0) throw invalidInput(faults.slice(0, ERROR_REPORTS.unknownFields));
}

/** Refuses a body with anything in it, for routes that take none. @throws AtlasError `invalid_input` */
export function checkNoBody(request: Request): void {
  const body: unknown = request.body;
  if (body === undefined || body === null) return;
  if (typeof body !== "object" || Array.isArray(body)) {
    throw invalidInput([{ path: "", message: "The body must be a JSON object, or none" }]);
  }
  const faults = Object.keys(body).map((name) => unknown(name, []));
  if (faults.length > 0) throw invalidInput(faults.slice(0, ERROR_REPORTS.unknownFields));
}

function unknown(name: string, known: readonly string[]): ErrorDetail {
  const path = shortened(name, ERROR_REPORTS.nameCharacters);
  return { path, message: `is not known here${known.length === 0 ? "" : `; known are ${known.join(", ")}`}` };
}
