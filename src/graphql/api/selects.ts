import { type FragmentDefinitionNode, type GraphQLResolveInfo, Kind, type SelectionSetNode } from "graphql";

/** Whether one of these fields is selected anywhere below a field; one that a directive leaves out counts. */
export function selects({ fieldNodes, fragments }: GraphQLResolveInfo, ...names: string[]): boolean {
  const seen = new Set<FragmentDefinitionNode>();
  const within = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((selection) => {
      if (selection.kind === Kind.FIELD) return names.includes(selection.name.value) || within(selection.selectionSet);
      if (selection.kind === Kind.INLINE_FRAGMENT) return within(selection.selectionSet);
      const fragment = fragments[selection.name.value];
      if (fragment === undefined || seen.has(fragment)) return false;
      return within(seen.add(fragment) && fragment.selectionSet);
    }) === true;
  return fieldNodes.some(({ selectionSet }) => within(selectionSet));
}
