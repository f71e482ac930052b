import fc from "fast-check";

/** Texts that have brought down parsers, databases and terminals. */
const HOSTILE_TEXTS = [
  "",
  " ",
  "\0",
  "a\0b",
  "\u0001\u001f\u007f\u0085",
  "\r\nX-Injected: 1",
  "\u2028\u2029",
  "\ufeffa",
  "\ud800",
  "\udc00\ud800",
  "😀".repeat(101),
  "e\u0301\u0327".repeat(50),
  "\u202eabc\u202c",
  "İıſẞ",
  "\uffff\ufffe",
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "toString",
  "then",
  "toJSON",
  "'; drop table jobs; --",
  "${jndi:ldap://a}",
  "{{7*7}}",
  "%00%n%s",
  "../../etc/passwd",
  "\\u0000",
  "null",
  "NaN",
  "x".repeat(10_000),
];

/** Numbers as JSON may spell them, also past what a double or an integer column holds. */
const NUMERALS = [
  "0",
  "-0",
  "0.1",
  "1e2",
  "1E+2",
  "2147483647",
  "2147483648",
  "-2147483649",
  "9007199254740993",
  "123456789012345678901234567890",
  "0.000000000000000000000000000001",
  "5e-324",
  "1.7976931348623157e308",
];
/** Those that a job's input may not have. */
const UNKEPT_NUMERALS = ["1e-400", "0.10000000000000001", "1e309", "-1e999"];

const KEYS = ["a", "b", "", "__proto__", "constructor", "toString", "toJSON", "then", "0", "-1", "$", "a.b"];

/** Any text: ordinary, of any code units, or one of the hostile ones. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.array(fc.nat(0xffff), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
);

/** Text that PostgreSQL can hold. */
const storableText = text.map((value) => value.replaceAll("\0", "").toWellFormed());

/** A text's literal in JSON: as it is, or with every character escaped. */
const literalOf = (value: string, escaped: boolean): string =>
  escaped
    ? `"${Array.from({ length: value.length }, (_, at) => `\\u${value.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")}"`
    : JSON.stringify(value);

function jsonOf(texts: fc.Arbitrary<string>, numerals: readonly string[], maxDepth: number): fc.Arbitrary<string> {
  const string = fc.tuple(texts, fc.boolean()).map(([value, escaped]) => literalOf(value, escaped));
  const key = fc.oneof(
    fc.constantFrom(...KEYS).map((name) => JSON.stringify(name)),
    string,
  );
  const leaf = fc.oneof(
    string,
    fc.constantFrom(...numerals),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.constantFrom("null", "true", "false"),
  );
  return fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
    value: fc.oneof({ maxDepth, depthIdentifier: "json" }, leaf, tie("list"), tie("object")),
    list: fc.array(tie("value"), { maxLength: 6, depthIdentifier: "json" }).map((items) => `[${items.join(",")}]`),
    object: fc
      .array(fc.tuple(key, tie("value")), { maxLength: 6, depthIdentifier: "json" })
      .map((entries) => `{${entries.map((entry) => entry.join(" : ")).join(",\n")}}`),
  })).value;
}

/** JSON text of any value: repeated keys, escapes, numbers past every range. */
export const json: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: jsonOf(text, [...NUMERALS, ...UNKEPT_NUMERALS], 5) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 60, max: 20_000 }).map((levels) => "[".repeat(levels) + "]".repeat(levels)),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 20_000 })
      .map((width) => `{${Array.from({ length: width }, (_, n) => `"k${n}":${n}`).join(",")}}`),
  },
);

/** JSON text of an object that a job's input can be. */
export const storableInput: fc.Arbitrary<string> = fc
  .array(
    fc.tuple(
      fc.oneof(fc.constantFrom(...KEYS), storableText).map((name) => JSON.stringify(name)),
      jsonOf(storableText, NUMERALS, 6),
    ),
    { maxLength: 8 },
  )
  .map((entries) => `{${entries.map((entry) => entry.join(":")).join(",")}}`);

/** A value as JSON text that is alike for alike values, whatever the order of their keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
