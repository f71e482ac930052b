import { GraphQLScalarType, Kind, type ValueNode } from "graphql";
import { GraphQLDateTimeISO, GraphQLJSON, GraphQLJSONObject } from "graphql-scalars";
import { exactNumber } from "../../../bounds/exact-json.js";

/** An instant, ISO 8601 UTC with milliseconds. */
export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTimeISO.toConfig(),
  name: "DateTime",
  description: "An instant as ISO 8601 in UTC: 2026-11-24T09:30:00.000Z.",
  specifiedByURL: "https://scalars.graphql.org/andimarek/date-time.html",
  extensions: {},
});

/** Any JSON value. */
export const Json = new GraphQLScalarType({
  ...GraphQLJSON.toConfig(),
  description: "Any JSON value.",
  specifiedByURL: null,
  parseLiteral: exactLiteral,
});

/** A JSON object. */
export const JsonObject = new GraphQLScalarType({
  ...GraphQLJSONObject.toConfig(),
  description: "A JSON object.",
  specifiedByURL: null,
  parseLiteral: (node, variables) =>
    node.kind === Kind.OBJECT ? exactLiteral(node, variables) : GraphQLJSONObject.parseLiteral(node, variables),
});

/** A literal as JSON. The library would make a double of each number. */
function exactLiteral(node: ValueNode, variables?: Record<string, unknown> | null): unknown {
  if (node.kind === Kind.INT || node.kind === Kind.FLOAT) return exactNumber(node.value);
  if (node.kind === Kind.LIST) return node.values.map((value) => exactLiteral(value, variables));
  if (node.kind === Kind.OBJECT) {
    return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, exactLiteral(value, variables)]));
  }
  return GraphQLJSON.parseLiteral(node, variables);
}

/** A place in the tenant's events; opaque to clients. */
export const EventCursor = new GraphQLScalarType<string, string>({
  name: "EventCursor",
  description: "A place in the tenant's status changes. Opaque; subscribe after it to miss nothing since.",
  serialize: String,
  parseValue: asText,
  parseLiteral: (node) => asText(node.kind === Kind.STRING ? node.value : null),
});

function asText(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("EventCursor must be a string");
  return value;
}
