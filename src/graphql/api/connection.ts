import type { Page, Placed } from "../../services/page.js";
import type { PageInfoType } from "./types/page-info.js";

/** What every Relay connection has. */
interface Connection<T> {
  edges: { node: T; readonly cursor: string }[];
  nodes: T[];
  pageInfo: PageInfoType;
}

/** A page as a Relay connection. */
export function connectionOf<T>({ items, hasNextPage, hasPreviousPage }: Page<T>): Connection<Placed<T>> {
  const edges = items.map((node) => ({
    node,
    // Made when it is selected: see `placed`.
    get cursor() {
      return node.cursor;
    },
  }));
  const [startCursor = null, endCursor = null] = [items.at(0)?.cursor, items.at(-1)?.cursor];
  return { edges, nodes: items, pageInfo: { hasNextPage, hasPreviousPage, startCursor, endCursor } };
}
