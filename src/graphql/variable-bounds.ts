import {
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isListType,
  isNonNullType,
  isScalarType,
  typeFromAST,
  type VariableDefinitionNode,
} from "graphql";
import { AtlasError } from "../errors.js";
import { Json, JsonObject } from "./types/scalars.js";

/** What an operation's variables may have, but for JSON, whose bounds the services know. */
const MAX = {
  /** Values, and the names of objects' fields: a thousand jobs to create have ten thousand. */
  values: 20_000,
  characters: 1_048_576,
};

const JSON_SCALARS = new Set([Json.name, JsonObject.name]);

/**
 * Refuses variables that it would take long to coerce: each value is looked at several times, and an error for each, with
 * the value in it, would fill the memory.
 * @throws AtlasError `invalid_input`
 */
export function checkVariables(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
  variables: Readonly<Record<string, unknown>>,
): void {
  const left = { ...MAX };
  const spend = (characters: number): void => {
    left.values -= 1;
    left.characters -= characters;
    if (left.values < 0) throw tooLarge(`${MAX.values} values`);
    if (left.characters < 0) throw tooLarge(`${MAX.characters} characters`);
  };
  const walk = (value: unknown, type: GraphQLInputType | undefined): void => {
    const bare = isNonNullType(type) ? type.ofType : type;
    if (isScalarType(bare) && JSON_SCALARS.has(bare.name)) return;
    spend(typeof value === "string" ? value.length : 0);
    if (Array.isArray(value)) {
      const item = isListType(bare) ? bare.ofType : undefined;
      for (const one of value) walk(one, item);
    } else if (typeof value === "object" && value !== null) {
      const one = isListType(bare) ? bare.ofType : bare;
      const object = isNonNullType(one) ? one.ofType : one;
      const fields = isInputObjectType(object) ? object.getFields() : {};
      // Not Object.entries(), which would be made of all of them first.
      for (const name in value) {
        spend(name.length);
        const inner = (value as Record<string, unknown>)[name];
        walk(inner, Object.hasOwn(fields, name) ? fields[name]?.type : undefined);
      }
    }
  };
  for (const { variable, type } of definitions)
    walk(variables[variable.name.value], typeFromAST(schema, type) as never);
}

function tooLarge(bound: string): AtlasError {
  return new AtlasError("invalid_input", `The variables may have ${bound} outside of JSON, these have more`);
}
