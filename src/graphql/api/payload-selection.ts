import { type FragmentDefinitionNode, type GraphQLResolveInfo, Kind, type SelectionSetNode } from "graphql";

/** The fields of `Job` that may be large, and are read only where they are selected. */
export const PAYLOAD = ["input", "output"] as const;

const PAYLOAD_NAMES = new Set<string>(PAYLOAD);

/** Whether a field of this name is an input or an output. */
export function isPayload(name: string): boolean {
  return PAYLOAD_NAMES.has(name);
}

/** Whether an input or output is selected anywhere below a field; one that a directive leaves out counts. */
export function selectsPayload({ fieldNodes, fragments }: GraphQLResolveInfo): boolean {
  const seen = new Set<FragmentDefinitionNode>();
  const within = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((selection) => {
      if (selection.kind === Kind.FIELD) return isPayload(selection.name.value) || within(selection.selectionSet);
      if (selection.kind === Kind.INLINE_FRAGMENT) return within(selection.selectionSet);
      const fragment = fragments[selection.name.value];
      if (fragment === undefined || seen.has(fragment)) return false;
      return within(seen.add(fragment) && fragment.selectionSet);
    }) === true;
  return fieldNodes.some(({ selectionSet }) => within(selectionSet));
}
