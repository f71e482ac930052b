import { type GraphQLInputType, isEnumType, isInputObjectType, isListType, isNonNullType } from "graphql";
import type { Choices } from "./choices.js";

/** What the tenant has, so that some arguments hit something. */
export interface Known {
  jobIds: readonly string[];
  eventCursors: readonly string[];
}

const TEXTS = ["A", "", " ", "__proto__", "constructor", "\u0001", "\u2028", "\ufeff", "😀".repeat(101), "x".repeat(3_000), "\"\"\"", "\\", "#", "null"]; // prettier-ignore
const INTS = [1, 0, -1, 2, 200, 201, 2 ** 31 - 1, -(2 ** 31)];
const INSTANTS = ["2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00.000001Z", "2026-06-30T12:00:00.123456789+05:30"]; // prettier-ignore
const OBJECTS = [
  {},
  { a: 1 },
  JSON.parse(`{"__proto__":{"a":1},"constructor":{"prototype":[]}}`),
  { a: [[[[{ b: null }]]]] },
  { big: 1.7976931348623157e308, small: 5e-324, whole: 2 ** 53 },
  Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, n])),
] as Record<string, unknown>[];
const ABSENT_ID = "00000000-0000-4000-8000-000000000000";

/** Values of no kind that the schema asks for anywhere, and of each kind where another is asked for. */
const WRONG: readonly unknown[] = [null, true, 0, -1, 1.5, 1e300, 2 ** 31, "", "\0", "\ud800", "__proto__", "QUEUED", "queued", [], [null], [[[]]], {}, { a: 1 }, { jobType: null }, { jobType: "A", unknown: 1 }, JSON.parse(`{"__proto__":1}`), ABSENT_ID, "2026-02-30T00:00:00Z"]; // prettier-ignore

/** A value that the type takes, though the service may refuse it. */
export function rightValue(type: GraphQLInputType, known: Known, choices: Choices): unknown {
  if (isNonNullType(type)) return rightValue(type.ofType, known, choices) ?? rightValue(type, known, choices);
  if (choices.oneIn(8)) return null;
  if (isListType(type)) return Array.from({ length: choices.below(4) }, () => rightValue(type.ofType, known, choices));
  if (isEnumType(type)) return choices.of(type.getValues()).name;
  if (isInputObjectType(type)) {
    const entries = Object.values(type.getFields())
      .filter((field) => isNonNullType(field.type) || choices.below(2) === 1)
      .map((field) => [field.name, rightValue(field.type, known, choices)] as const);
    return Object.fromEntries(entries);
  }
  switch (type.name) {
    case "Boolean":
      return choices.below(2) === 1;
    case "Int":
    case "Float":
      return choices.of(INTS);
    case "ID":
      return choices.of([...known.jobIds, ABSENT_ID, ...TEXTS]);
    case "DateTime":
      return choices.of(INSTANTS);
    case "EventCursor":
      return choices.of([...known.eventCursors, ...TEXTS]);
    case "JSON":
    case "JSONObject":
      return choices.of(OBJECTS);
    default:
      return choices.of([...TEXTS, ...known.eventCursors]);
  }
}

/** A value of any kind. */
export function anyValue(choices: Choices): unknown {
  return choices.of(WRONG);
}

/** A value as a document writes it; null when it cannot: its keys are no names. */
export function literalOf(value: unknown, type: GraphQLInputType | null): string | null {
  if (isNonNullType(type)) return literalOf(value, type.ofType);
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return isEnumType(type) ? value : JSON.stringify(value);
  if (Array.isArray(value))
    return joined(
      value.map((item) => literalOf(item, isListType(type) ? (type.ofType as GraphQLInputType) : null)),
      "[]",
    );
  const fields = isInputObjectType(type) ? type.getFields() : {};
  const entries = Object.entries(value as object).map(([name, inner]) => {
    const literal = literalOf(inner, Object.hasOwn(fields, name) ? (fields[name]?.type ?? null) : null);
    return literal === null || !/^[_a-z]\w*$/i.test(name) ? null : `${name}: ${literal}`;
  });
  return joined(entries, "{}");
}

function joined(parts: readonly (string | null)[], around: string): string | null {
  return parts.includes(null) ? null : `${around[0]}${parts.join(", ")}${around[1]}`;
}
