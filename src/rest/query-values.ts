import type { Request } from "express";
import { invalidInput } from "../services/create-job-input.js";

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
