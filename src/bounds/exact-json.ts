import { randomBytes } from "node:crypto";

declare global {
  interface JSON {
    rawJSON(text: string): RawNumber;
    isRawJSON(value: unknown): value is RawNumber;
  }
  interface BigInt {
    toJSON(): RawNumber;
  }
}

/** What `JSON.rawJSON` makes of a number: an object that `JSON.stringify` writes as the number it was. */
interface RawNumber {
  readonly rawJSON: string;
}

/*
 * JSON whose numbers are what they were written as. JSON.parse makes a double of each, whatever its value:
 * 9007199254740993 becomes …992, and 1e-400 zero. Here one is
 * - a number, if a double has its value, and it is no whole number beyond ±(2⁵³ − 1);
 * - a bigint, if it is such a whole number, in the range of a double;
 * - else a `RawNumber`: kept for whoever passes it on, and refused by name where it comes in.
 * What decides is the value, not how it is spelled, since jsonb keeps the value alone: 1e20 is a bigint, 1.0 a number.
 */

// JSON.stringify alone would throw. Libraries call it too, and a function given to each takes twice as long (measured).
Object.defineProperty(BigInt.prototype, "toJSON", {
  value(this: bigint) {
    return JSON.rawJSON(this.toString());
  },
  configurable: true,
  writable: true,
});

/** A number that JSON.parse may change: of sixteen digits or more, or with an exponent. Also found in texts. */
const LONG = /\d[\d.]{15}/;
const EXPONENT = /\d[eE][-+\d]/;
/** A double keeps every decimal of so many digits. */
const SAFE_DIGITS = 15;
/** Of a number in an error. */
const MAX_SHOWN = 40;

/**
 * Parses JSON.
 * @param unkept what becomes of a number that neither a number nor a bigint can be; it is given its text.
 * @param maxLong so many numbers at most may be others than doubles.
 * @throws SyntaxError; RangeError when there are more.
 */
export function parseJson(
  text: string,
  unkept: (token: string) => unknown = JSON.rawJSON,
  maxLong = Infinity,
): unknown {
  if (!LONG.test(text) && !EXPONENT.test(text)) return JSON.parse(text);
  const { marked, numbers } = mark(text, unkept, maxLong);
  if (numbers.length === 0) return JSON.parse(text);
  return replaceObjects(parseMarked(marked), (inner) => {
    const number = (inner as Record<string, number>)[MARK];
    return number === undefined ? inner : numbers[number];
  });
}

/** The number that a text in JSON's or GraphQL's spelling is. @param unkept as for `parseJson`. */
export function exactNumber(token: string, unkept: (token: string) => unknown = JSON.rawJSON): unknown {
  const held = Number(token);
  const isLong = Number.isInteger(held) && !Number.isSafeInteger(held);
  // As most languages write it.
  if (!isLong && String(held) === token) return held;
  const decimal = decimalOf(token);
  // Zero has no digits; what is no number is not for us to refuse.
  if (decimal === null || decimal.digits === "") return held;
  const { sign, digits, exponent } = decimal;
  if (!Number.isFinite(held)) return unkept(token);
  if (exponent >= 0) return isLong ? BigInt(sign + digits + "0".repeat(exponent)) : held;
  const kept = decimalOf(String(held));
  return kept?.digits === digits && kept.exponent === exponent ? held : unkept(token);
}

/** Says why a number cannot be kept. */
export function numberFault(token: string): string {
  const shown = token.length > MAX_SHOWN ? `${token.slice(0, MAX_SHOWN)}…` : token;
  return `holds ${shown}, which cannot be kept as a number: numbers are doubles, or whole and within ±1.8e308; send it as a string`;
}

/** Puts the nearest double for each `RawNumber` in a JSON value, in place. @returns the value. */
export function withDoubles(value: unknown): unknown {
  return replaceObjects(value, (inner) => (JSON.isRawJSON(inner) ? Number(inner.rawJSON) : inner));
}

/** A number's decimal value: its digits, without zeros around them, times a power of ten; null: it is no number. */
function decimalOf(token: string): { sign: string; digits: string; exponent: number } | null {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(token) ?? [];
  if (whole === "") return null;
  const all = whole + fraction;
  let [from, to] = [0, all.length];
  while (all[from] === "0") from += 1;
  while (to > from && all[to - 1] === "0") to -= 1;
  return { sign, digits: all.slice(from, to), exponent: Number(power) - fraction.length + all.length - to };
}

/** The name of the one field of an object that stands for a number; known to nobody. */
const MARK = randomBytes(9).toString("base64url");

function parseMarked(marked: string): unknown {
  try {
    return JSON.parse(marked);
  } catch {
    // The parser's own error would quote the mark.
    throw new SyntaxError("The text is no JSON");
  }
}

/**
 * Puts a mark for each number that JSON.parse would change. A reviver would be told the same, but takes a microsecond for
 * each value (500,000 in a body: half a second), and calls itself until the stack ends (2,300 levels).
 */
function mark(
  text: string,
  unkept: (token: string) => unknown,
  maxLong: number,
): { marked: string; numbers: unknown[] } {
  const numbers: unknown[] = [];
  let marked = "";
  let done = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfText(text, at);
    else if (code === MINUS || isDigit(code)) {
      let end = at + 1;
      let hasExponent = false;
      for (let next = text.charCodeAt(end); isInNumber(next); next = text.charCodeAt(++end)) {
        hasExponent ||= next === SMALL_E || next === LARGE_E;
      }
      const number = end - at <= SAFE_DIGITS && !hasExponent ? 0 : exactNumber(text.slice(at, end), unkept);
      if (typeof number !== "number") {
        // An object, since it is no more allowed where a number is not, such as for a name.
        marked += `${text.slice(done, at)}{"${MARK}":${numbers.push(number) - 1}}`;
        done = end;
        if (numbers.length > maxLong) throw new RangeError("Too many numbers that no double holds");
      }
      at = end - 1;
    }
  }
  return { marked: marked + text.slice(done), numbers };
}

const [QUOTE, MINUS, PLUS, POINT, ZERO, NINE, SMALL_E, LARGE_E] = Array.from('"-+.09eE', (sign) => sign.charCodeAt(0)) as [number, number, number, number, number, number, number, number]; // prettier-ignore

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function isInNumber(code: number): boolean {
  return isDigit(code) || code === POINT || code === SMALL_E || code === LARGE_E || code === MINUS || code === PLUS;
}

/** Where the text ends that begins at `from`: at its last quote, or with everything. */
function endOfText(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

/**
 * Replaces objects in a JSON value, in place; what `replace` returns as it is, it is asked about inside. Without
 * recursion, so that no nesting can exhaust the stack.
 */
function replaceObjects(value: unknown, replace: (inner: object) => unknown): unknown {
  const root = [value];
  const rest: object[] = [root];
  for (let holder = rest.pop(); holder !== undefined; holder = rest.pop()) {
    const fields = holder as Record<string | number, unknown>;
    for (const name of Array.isArray(holder) ? holder.keys() : Object.keys(holder)) {
      const inner = fields[name];
      if (typeof inner !== "object" || inner === null) continue;
      const replaced = replace(inner);
      if (replaced === inner) rest.push(inner);
      else fields[name] = replaced;
    }
  }
  return root[0];
}
