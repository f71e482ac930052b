import {
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
  specifiedRules,
  type ValidationContext,
  type ValidationRule,
} from "graphql";
import { ERRORS } from "../errors.js";

/** Tokens of a document at most; bounds the parser, its recursion, and what the rules walk. */
export const MAX_TOKENS = 8_000;
const MAX_DEPTH = 15;
const MAX_ROOT_FIELDS = 50;

const limitSize: ValidationRule = (context: ValidationContext) => ({
  OperationDefinition(operation) {
    const rootFields = countRootFields(context, operation.selectionSet);
    if (rootFields > MAX_ROOT_FIELDS) {
      context.reportError(
        tooComplex(`An operation may have ${MAX_ROOT_FIELDS} root fields, this one has ${rootFields}`),
      );
    }
    const depth = depthOf(context, operation.selectionSet, new Map());
    if (depth > MAX_DEPTH) {
      context.reportError(tooComplex(`An operation may be ${MAX_DEPTH} levels deep, this one is ${depth}`));
    }
  },
});

/** The rules for every document, over HTTP and over WebSocket. */
export const validationRules = [...specifiedRules, limitSize];
export const extraRules = [limitSize];

function countRootFields(
  context: ValidationContext,
  set: SelectionSetNode,
  seen = new Set<FragmentDefinitionNode>(),
): number {
  let count = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD) count += 1;
    else if (selection.kind === Kind.INLINE_FRAGMENT) count += countRootFields(context, selection.selectionSet, seen);
    else {
      const fragment = context.getFragment(selection.name.value);
      if (!fragment || seen.has(fragment)) continue;
      count += countRootFields(context, fragment.selectionSet, seen.add(fragment));
    }
  }
  return count;
}

/**
 * Introspection, which nests by its nature, counts as one level. Each fragment is walked once: spread twice in each
 * other, thirty of them would otherwise be walked a thousand million times.
 */
function depthOf(
  context: ValidationContext,
  set: SelectionSetNode,
  known: Map<FragmentDefinitionNode, number>,
): number {
  let deepest = 0;
  for (const selection of set.selections) {
    let depth = 1;
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const fragment = context.getFragment(selection.name.value);
      if (!fragment) continue;
      // Ends a fragment within itself, which is another rule's business.
      if (!known.has(fragment)) known.set(fragment, 0).set(fragment, depthOf(context, fragment.selectionSet, known));
      depth = known.get(fragment) ?? 0;
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      depth = depthOf(context, selection.selectionSet, known);
    } else if (selection.selectionSet !== undefined && !selection.name.value.startsWith("__")) {
      depth = 1 + depthOf(context, selection.selectionSet, known);
    }
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function tooComplex(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: ERRORS.query_too_complex.graphql } });
}
