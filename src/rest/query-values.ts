import type { Request } from "express";

/** What the query gives under any of these names, however often; a name without a value gives nothing. */
export function queryValues(request: Request, ...names: string[]): string[] {
  return names
    .flatMap((name): unknown => request.query[name])
    .filter((one): one is string => typeof one === "string" && one !== "");
}
