import { Kind } from "graphql";
import { readDocument } from "./document.js";

const SCHEMA_FIELDS = new Set(["__typename", "__schema", "__type"]);

/** Whether a document asks for the schema and nothing else: outside production a stranger may, without a token. */
export function asksForSchemaOnly(query: unknown): boolean {
  if (typeof query !== "string") return false;
  try {
    return readDocument(query).definitions.every(
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
