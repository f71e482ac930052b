import { Kind, parse } from "graphql";
import { MAX_TOKENS } from "./limits.js";

const SCHEMA_FIELDS = new Set(["__typename", "__schema", "__type"]);

/** Whether a query asks for the schema and nothing else: that needs no token, outside production. */
export function asksForSchemaOnly(query: unknown): boolean {
  if (typeof query !== "string") return false;
  try {
    return parse(query, { noLocation: true, maxTokens: MAX_TOKENS }).definitions.every(
      (definition) =>
        definition.kind === Kind.FRAGMENT_DEFINITION ||
        (definition.kind === Kind.OPERATION_DEFINITION &&
          definition.selectionSet.selections.every(
            (selection) => selection.kind === Kind.FIELD && SCHEMA_FIELDS.has(selection.name.value),
          )),
    );
  } catch {
    return false;
  }
}
