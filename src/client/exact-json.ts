/*
 * JSON as the service keeps it: whole numbers beyond ±(2⁵³ − 1), which a number cannot hold, are bigints here. Where the
 * runtime cannot tell how a number was written (before Safari 18.4 and Firefox 135), they are the nearest numbers.
 */

/** Texts without such a number are parsed as fast as ever. */
const LONG = /\d{16}/;

interface RawJson {
  rawJSON(text: string): unknown;
}

export function parseJson(text: string): unknown {
  return LONG.test(text) ? JSON.parse(text, readNumber) : JSON.parse(text);
}

/** A reviver for `JSON.parse`. */
export function readNumber(_name: string, value: unknown, { source = "" }: { source?: string } = {}): unknown {
  return typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** A replacer for `JSON.stringify`. */
export function writeNumber(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? (JSON as unknown as RawJson).rawJSON(String(value)) : value;
}
