import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { type Handler, type JsonObject, PermanentError } from "./handler.js";

/**
 * A handler that is given only inputs that fit a JSON Schema (draft 2020-12); any other fails the job at once as
 * `invalid_input`, its first fault named.
 * @throws an error that says what is wrong with the schema.
 */
export function checkedBy(schema: JsonObject, handler: Handler): Handler {
  // A keyword or format that it does not know is a fault of the schema, not one that checks nothing; the other strict
  // modes would refuse common idioms such as a list of alternatives that require a field each. It ends at the first fault:
  // else `uniqueItems` or a pattern would go through what is far longer than the schema's own bound (10,000 objects: minutes).
  const fits = new Ajv2020({ strict: false, strictSchema: true }).compile(schema);
  return (input, context) => {
    if (fits(JSON.parse(JSON.stringify(input, asDouble)))) return handler(input, context);
    throw new PermanentError((fits.errors ?? []).map(faultOf).join("; "), "invalid_input");
  };
}

/** A whole number beyond a double is a bigint, which JSON Schema does not know. */
function asDouble(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function faultOf({ instancePath, message = "is invalid", params }: ErrorObject): string {
  const path = ["input", ...instancePath.split("/").slice(1)].join(".");
  const { additionalProperty } = params as { additionalProperty?: string };
  return `${path} ${message}${additionalProperty === undefined ? "" : `: ${additionalProperty}`}`;
}
