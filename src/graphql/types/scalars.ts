import { GraphQLScalarType, Kind } from "graphql";
import { GraphQLDateTimeISO, GraphQLJSON, GraphQLJSONObject } from "graphql-scalars";

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
});

/** A JSON object. */
export const JsonObject = new GraphQLScalarType({
  ...GraphQLJSONObject.toConfig(),
  description: "A JSON object.",
  specifiedByURL: null,
});

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
