import fc from "fast-check";
import { exactNumber, parseJson, withDoubles } from "../../src/bounds/exact-json.js";

const sign = fc.constantFrom("", "-");
const digits = (maxLength: number) => fc.stringMatching(/^[0-9]+$/, { maxLength });
const whole = fc.oneof(fc.constant("0"), fc.stringMatching(/^[1-9][0-9]{0,30}$/));
const power = fc.oneof(fc.integer({ min: -400, max: 400 }).map(String), fc.constantFrom("+3", "-0", "00017"));
/** Numbers in every spelling that JSON has. */
const token = fc
  .tuple(sign, whole, fc.option(digits(30)), fc.option(fc.tuple(fc.constantFrom("e", "E"), power)))
  .map(([minus, before, after, exponent]) =>
    [minus, before, after === null ? "" : `.${after}`, exponent === null ? "" : exponent.join("")].join(""),
  );

/** A number's value as a fraction, worked out in another way than the source does. */
function valueOf(number: string): [numerator: bigint, denominator: bigint] {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().split("e");
  const [before = "", after = ""] = mantissa.split(".");
  const shift = Number(exponent) - after.length;
  const scaled = BigInt(before + after);
  return shift >= 0 ? [scaled * 10n ** BigInt(shift), 1n] : [scaled, 10n ** BigInt(-shift)];
}
function isSame(one: string, other: string): boolean {
  const [a, b] = valueOf(one);
  const [c, d] = valueOf(other);
  return a * d === c * b;
}

/** JSON whose numbers are texts of their own, in each place that a value can have. */
const json = fc.letrec<{ any: string; list: string; object: string }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    token,
    fc.json({ maxDepth: 0 }),
    fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    fc.constantFrom('"9007199254740993"', '"\\\\"', '"\\"9007199254740993e5"', "true", "null"),
    tie("list"),
    tie("object"),
  ),
  list: fc.array(tie("any"), { maxLength: 5 }).map((values) => `[ ${values.join(" ,")}\n]`),
  object: fc
    .array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom("__proto__", "1e5", "12345678901234567")), tie("any")), {
      maxLength: 5,
    })
    .map((fields) => `{${fields.map(([name, value]) => `${JSON.stringify(name)}:\t${value}`).join(",")}}`),
})).any;

/** What tells of each number in a text, apart from what stands around it. */
function withoutNumbers(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown) => (typeof value === "number" ? 0 : value)) as unknown;
}
function numbersOf(text: string): string[] {
  const found: string[] = [];
  JSON.parse(text, (_name, value: unknown, { source }: { source?: string } = {}) => {
    if (typeof value === "number") found.push(source ?? "");
    return value;
  });
  return found;
}

describe("a number", () => {
  it("is read as what holds its value, whatever its spelling, and written as it again", () => {
    fc.assert(
      fc.property(token, (text) => {
        const number = exactNumber(text);
        const written = JSON.stringify(number);
        expect(isSame(written, text)).toBe(true);
        const [numerator, denominator] = valueOf(text);
        const isLong = numerator % denominator === 0n && !Number.isSafeInteger(Number(numerator / denominator));
        const held = JSON.stringify(Number(text));
        const isHeld = held !== "null" && (isLong || isSame(held, text));
        expect(typeof number).toBe(!isHeld ? "object" : isLong ? "bigint" : "number");
      }),
      { numRuns: 5_000 },
    );
  });

  it("of a double is kept, as every language writes it that writes no more digits than it takes", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        for (const text of [JSON.stringify(number), number.toExponential()]) {
          const read = exactNumber(text);
          expect(typeof read).toBe(Number.isInteger(number) && !Number.isSafeInteger(number) ? "bigint" : "number");
          expect(Number(read) === number).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, unknown]>([
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", 9007199254740992n],
    ["-9007199254740993", -9007199254740993n],
    ["9007199254740993.0", 9007199254740993n],
    ["9.007199254740993e15", 9007199254740993n],
    ["1e308", 10n ** 308n],
    ["1e309", JSON.rawJSON("1e309")],
    ["1e-400", JSON.rawJSON("1e-400")],
    ["1e99999999999999999999", JSON.rawJSON("1e99999999999999999999")],
    ["0e99999999999999999999", 0],
    ["9007199254740991.5", JSON.rawJSON("9007199254740991.5")],
    ["0.1", 0.1],
    ["0.1000", 0.1],
    ["0.10000000000000001", JSON.rawJSON("0.10000000000000001")],
    ["5e-324", 5e-324],
  ])("%s is told from its neighbours", (text, number) => {
    expect(exactNumber(text)).toEqual(number);
  });
});

describe("JSON", () => {
  it("is read and written with each number's value as it stands, and all else as JSON.parse has it", () => {
    fc.assert(
      fc.property(json, (text) => {
        // What stands twice in an object stands once behind it, for both.
        const once = JSON.stringify(JSON.parse(text, (_name, value: unknown, { source }: { source?: string } = {}) =>
          typeof value === "number" ? JSON.rawJSON(source ?? "") : value,
        )); // prettier-ignore
        const written = JSON.stringify(parseJson(text));
        expect(withoutNumbers(written)).toEqual(withoutNumbers(once));
        const numbers = numbersOf(once);
        expect(numbersOf(written).every((number, index) => isSame(number, numbers[index] ?? ""))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is refused wherever JSON.parse refuses it", () => {
    const broken = fc
      .tuple(json, fc.nat(), fc.nat({ max: 3 }), fc.constantFrom("", '"', "1", "-", "9007199254740993", "e", "{", "}"))
      .map(([text, at, length, put]) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(from + length);
      });
    const refused = (parse: (text: string) => unknown, text: string): boolean => {
      try {
        parse(text);
        return false;
      } catch (error) {
        if (error instanceof SyntaxError) return true;
        throw error;
      }
    };
    fc.assert(
      fc.property(broken, (text) => {
        expect(refused(parseJson, text)).toBe(refused(JSON.parse, text));
      }),
      { numRuns: 5_000 },
    );
    for (const text of ["09007199254740993", "{9007199254740993:1}", "[9007199254740993 1]", '"9007199254740993']) {
      expect(refused(parseJson, text)).toBe(true);
    }
  });

  it("may be of any depth", () => {
    const text = `${"[".repeat(200_000)}9007199254740993${"]".repeat(200_000)}`;
    let value = parseJson(text);
    while (Array.isArray(value)) value = value[0] as unknown;
    expect(value).toBe(9007199254740993n);
  });

  it("has the nearest doubles for a handler, but for whole numbers", () => {
    const value = parseJson('{"third":[0.33333333333333333333],"id":9007199254740993,"none":null}');
    expect(withDoubles(value)).toEqual({ third: [1 / 3], id: 9007199254740993n, none: null });
    expect(withDoubles(parseJson("0.33333333333333333333"))).toBe(1 / 3);
  });
});
