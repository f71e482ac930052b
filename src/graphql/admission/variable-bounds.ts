import {
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isListType,
  isNonNullType,
  isScalarType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  typeFromAST,
  visit,
} from "graphql";
import { AtlasError } from "../../errors.js";
import { INTEGERS, VARIABLES } from "../../limits/policies.js";
import { Json, JsonObject } from "../api/types/scalars.js";

/** Of a variable. */
interface Size {
  values: number;
  characters: number;
}

const JSON_SCALARS = new Set([Json.name, JsonObject.name]);

/**
 * Refuses variables that would take long to coerce, or to use. GraphQL looks at each value several times, makes an error of
 * each wrong one, with the value in it, and a document can use one variable a thousand times.
 * @throws AtlasError `invalid_input`
 */
export function checkVariables(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): void {
  const left: Size = { ...VARIABLES };
  const used: Size = { values: 0, characters: 0 };
  const uses = usesOf(document, operation);
  for (const { variable, type } of operation.variableDefinitions ?? []) {
    const { value: name } = variable.name;
    const json = sizeOf(name, variables[name], typeFromAST(schema, type) as GraphQLInputType | undefined, left);
    const times = uses.get(name) ?? 0;
    used.values += times * json.values;
    used.characters += times * json.characters;
    if (used.values > VARIABLES.usedValues) throw tooLarge(`${VARIABLES.usedValues} values wherever they are used`);
    if (used.characters > VARIABLES.usedCharacters)
      throw tooLarge(`${VARIABLES.usedCharacters} characters wherever they are used`);
  }
}

/**
 * Counts how large a variable is, JSON in it included, and takes what is not JSON off `left`.
 * @throws AtlasError `invalid_input` when nothing is left, or for a number that JSON alone can have
 */
function sizeOf(name: string, value: unknown, type: GraphQLInputType | undefined, left: Size): Size {
  const size: Size = { values: 0, characters: 0 };
  const spend = (characters: number): void => {
    size.values += 1;
    size.characters += characters;
    left.values -= 1;
    left.characters -= characters;
    if (left.values < 0) throw tooLarge(`${VARIABLES.values} values outside of JSON`);
    if (left.characters < 0) throw tooLarge(`${VARIABLES.characters} characters outside of JSON`);
  };
  const walk = (inner: unknown, innerType: GraphQLInputType | undefined, level: number): void => {
    if (level > VARIABLES.levels) throw tooLarge(`${VARIABLES.levels} levels outside of JSON`);
    const bare = isNonNullType(innerType) ? innerType.ofType : innerType;
    if (isScalarType(bare) && JSON_SCALARS.has(bare.name)) {
      addJson(size, inner);
      return;
    }
    // GraphQL's own message would say that a number as large as this is no integer.
    if (typeof inner === "bigint" || JSON.isRawJSON(inner)) throw noInt(name, inner);
    spend(typeof inner === "string" ? inner.length : 0);
    if (Array.isArray(inner)) {
      const item = isListType(bare) ? bare.ofType : undefined;
      for (const one of inner) walk(one, item, level + 1);
    } else if (typeof inner === "object" && inner !== null) {
      const one = isListType(bare) ? bare.ofType : bare;
      const object = isNonNullType(one) ? one.ofType : one;
      const fields = isInputObjectType(object) ? object.getFields() : {};
      // Not Object.entries(), which would make a list of all fields before the first is counted.
      for (const key in inner) {
        spend(key.length);
        const field = Object.hasOwn(fields, key) ? fields[key]?.type : undefined;
        walk((inner as Record<string, unknown>)[key], field, level + 1);
      }
    }
  };
  walk(value, type, 1);
  return size;
}

/** Without recursion, so that no nesting can exhaust the stack. */
function addJson(size: Size, json: unknown): void {
  const rest = [json];
  while (rest.length > 0) {
    const next = rest.pop();
    size.values += 1;
    if (typeof next === "string") size.characters += next.length;
    if (typeof next !== "object" || next === null) continue;
    for (const name in next) {
      if (!Array.isArray(next)) size.characters += name.length;
      rest.push((next as Record<string, unknown>)[name]);
    }
  }
}

/** How often an operation uses each variable, those of a fragment wherever it is spread. */
function usesOf(document: DocumentNode, operation: OperationDefinitionNode): Map<string, number> {
  const known = new Map<string, Map<string, number>>();
  const usesIn = (set: SelectionSetNode): Map<string, number> => {
    const uses = new Map<string, number>();
    const add = (name: string, times: number) => uses.set(name, (uses.get(name) ?? 0) + times);
    const addAll = (others: Map<string, number>) => others.forEach((times, name) => add(name, times));
    for (const selection of set.selections) {
      const given = selection.kind === Kind.FIELD ? (selection.arguments ?? []) : [];
      for (const place of [...given, ...(selection.directives ?? [])]) {
        visit(place, { Variable: ({ name }) => void add(name.value, 1) });
      }
      if (selection.kind === Kind.FRAGMENT_SPREAD) addAll(usesOfFragment(selection.name.value));
      else if (selection.selectionSet !== undefined) addAll(usesIn(selection.selectionSet));
    }
    return uses;
  };
  const usesOfFragment = (name: string): Map<string, number> => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const fragment = document.definitions.find(
      (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name,
    );
    const uses =
      fragment?.kind === Kind.FRAGMENT_DEFINITION ? usesIn(fragment.selectionSet) : new Map<string, number>();
    known.set(name, uses);
    return uses;
  };
  return usesIn(operation.selectionSet);
}

function noInt(name: string, number: unknown): AtlasError {
  const bound = `outside of JSON numbers are whole, ${INTEGERS.min}–${INTEGERS.max}`;
  return new AtlasError("invalid_input", `Variable "$${name}" holds ${JSON.stringify(number).slice(0, 40)}: ${bound}`);
}

function tooLarge(bound: string): AtlasError {
  return new AtlasError("invalid_input", `The variables may have ${bound}, these have more`);
}
