import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  parse,
  type SelectionSetNode,
} from "graphql";
import { AtlasError } from "../../errors.js";
import { DOCUMENT } from "../../limits/policies.js";
import { isPayload } from "../api/payload-selection.js";

type Size = Record<keyof Omit<typeof DOCUMENT, "tokens" | "characters" | "lines" | "definitions">, number>;

const NAMES: Record<keyof Size, string> = {
  depth: "levels",
  nesting: "nested selections",
  rootFields: "root fields",
  fields: "fields",
  aliases: "aliases",
  directives: "directives",
  directivesInPlace: "directives in one place",
  repeats: "repeated fields",
  payloads: "inputs and outputs",
  payloadsOfOne: "inputs and outputs under one root field",
};

/**
 * Parses a document and refuses one that is too large, before it is validated, which takes longer.
 * @throws AtlasError `query_too_complex`, `invalid_input`; a GraphQLError for a syntax error.
 */
export function readDocument(query: string): DocumentNode {
  if (query.length > DOCUMENT.characters) throw tooLarge(`${DOCUMENT.characters} characters`, query.length);
  const lines = query.split(/\r\n|[\n\r]/, DOCUMENT.lines + 1).length;
  if (lines > DOCUMENT.lines) throw tooLarge(`${DOCUMENT.lines} lines`, "more");
  const document = parseBounded(query);
  const definitions = document.definitions.length;
  if (definitions > DOCUMENT.definitions)
    throw tooLarge(`${DOCUMENT.definitions} operations and fragments`, definitions);
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    refuseTooLarge(definition, fragments);
    // Validation of a subscription's root field reads the condition's variable, has none, and throws instead of reporting.
    if (definition.operation === OperationTypeNode.SUBSCRIPTION && isConditional(definition.selectionSet, fragments)) {
      throw new AtlasError("invalid_input", "A subscription's root field may have no @skip and no @include");
    }
  }
  return document;
}

/** Whether anything that a selection selects, itself or by its fragments, depends on a condition. */
function isConditional(
  { selections }: SelectionSetNode,
  fragments: Map<string, FragmentDefinitionNode>,
  seen = new Set<string>(),
): boolean {
  return selections.some((selection) => {
    if (selection.directives?.some(({ name }) => name.value === "skip" || name.value === "include")) return true;
    if (selection.kind === Kind.FIELD) return false;
    if (selection.kind === Kind.INLINE_FRAGMENT) return isConditional(selection.selectionSet, fragments, seen);
    const { value } = selection.name;
    const fragment = seen.has(value) ? undefined : fragments.get(value);
    return fragment !== undefined && isConditional(fragment.selectionSet, fragments, seen.add(value));
  });
}

function parseBounded(query: string): DocumentNode {
  try {
    return parse(query, { maxTokens: DOCUMENT.tokens });
  } catch (error) {
    const { name, message } = error as Error;
    if (message.includes(`${DOCUMENT.tokens} tokens`)) throw tooLarge(`${DOCUMENT.tokens} tokens`, "more");
    // The parser calls itself for each brace, and has come to the end of the stack.
    if (name === "RangeError") throw tooLarge(`${DOCUMENT.nesting} nested selections`, "more");
    throw error;
  }
}

function refuseTooLarge(operation: OperationDefinitionNode, fragments: Map<string, FragmentDefinitionNode>): void {
  const size = sizeOf(operation.selectionSet, fragments, new Map());
  for (const place of [operation, ...(operation.variableDefinitions ?? [])]) addDirectives(size, place);
  for (const [what, count] of Object.entries(size) as [keyof Size, number][]) {
    if (count > DOCUMENT[what]) throw tooLarge(`${DOCUMENT[what]} ${NAMES[what]}`, count);
  }
}

/**
 * Counts a selection. Introspection, which is always deep, counts as one level. Each fragment is walked once, and its counts
 * are kept: thirty fragments that each spread the next one twice would otherwise be walked 2³⁰ times.
 */
function sizeOf(set: SelectionSetNode, fragments: Map<string, FragmentDefinitionNode>, known: Map<string, Size>): Size {
  const size: Size = { ...EMPTY };
  const keys = new Set<string>();
  for (const selection of set.selections) {
    addDirectives(size, selection);
    if (selection.kind === Kind.FIELD) {
      const { name, alias, selectionSet } = selection;
      const below = selectionSet === undefined ? EMPTY : sizeOf(selectionSet, fragments, known);
      const key = alias?.value ?? name.value;
      if (keys.has(key)) size.repeats += 1 + below.fields;
      keys.add(key);
      const payloads = below.payloads + (isPayload(name.value) ? 1 : 0);
      add(size, {
        ...below,
        depth: 1 + (name.value.startsWith("__") ? 0 : below.depth),
        nesting: 1 + below.nesting,
        rootFields: 1,
        fields: 1 + below.fields,
        aliases: below.aliases + (alias === undefined ? 0 : 1),
        payloads,
        payloadsOfOne: payloads,
      });
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      const inner = sizeOf(selection.selectionSet, fragments, known);
      add(size, { ...inner, nesting: 1 + inner.nesting });
    } else {
      const fragment = fragments.get(selection.name.value);
      if (fragment === undefined) continue;
      let spread = known.get(selection.name.value);
      if (spread === undefined) {
        // A fragment within itself counts nothing more; validation refuses it.
        known.set(selection.name.value, EMPTY);
        spread = sizeOf(fragment.selectionSet, fragments, known);
        known.set(selection.name.value, spread);
      }
      add(size, { ...spread, nesting: 1 + spread.nesting });
    }
  }
  return size;
}

const EMPTY: Readonly<Size> = {
  depth: 0,
  nesting: 0,
  rootFields: 0,
  fields: 0,
  aliases: 0,
  directives: 0,
  directivesInPlace: 0,
  repeats: 0,
  payloads: 0,
  payloadsOfOne: 0,
};

function addDirectives(size: Size, { directives = [] }: { directives?: readonly unknown[] | undefined }): void {
  size.directives += directives.length;
  size.directivesInPlace = Math.max(size.directivesInPlace, directives.length);
}

function add(to: Size, part: Readonly<Size>): void {
  for (const what of ["depth", "nesting", "directivesInPlace", "payloadsOfOne"] as const)
    to[what] = Math.max(to[what], part[what]);
  for (const what of ["rootFields", "fields", "aliases", "directives", "repeats", "payloads"] as const)
    to[what] += part[what];
}

function tooLarge(bound: string, got: number | string): AtlasError {
  return new AtlasError("query_too_complex", `A document may have ${bound}, this one has ${got}`);
}
