import { type ErrorDetail, invalidInput } from "../errors.js";
import { PAGES } from "../limits/policies.js";

/** Which part of a list: the first items after a cursor. */
export interface ForwardPageInput {
  first?: number | null | undefined;
  after?: string | null | undefined;
}

/** Or the last items before a cursor. */
export interface PageInput extends ForwardPageInput {
  last?: number | null | undefined;
  before?: string | null | undefined;
}

/** What is to be read for a page. */
export interface PagePart {
  /** Items of the page, at most. */
  size: number;
  /** Items to read, at most: one more than the page has, which tells whether there are more. */
  limit: number;
  /** Whether to read from the list's end. */
  backward: boolean;
  after: string | null;
  before: string | null;
}

/** An item of a list, with the cursor of its place there. */
export type Placed<T> = T & { readonly cursor: string };

/** Items in the list's order. */
export interface Page<T> {
  items: Placed<T>[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
}

/** A page of what subscriptions send changes of. */
export interface LivePage<T> extends Page<T> {
  /** Subscribe after this cursor, and no change since this page is missed. */
  eventCursor: string;
}

/**
 * Checks what a client asks for.
 * @throws AtlasError `invalid_input` for a size out of bounds, or two sizes
 */
export function partOf({ first, after, last, before }: PageInput): PagePart {
  const details: ErrorDetail[] = [];
  for (const [path, size] of Object.entries({ first, last })) {
    if (size != null && (size < 1 || size > PAGES.rows)) {
      details.push({ path, message: `must be 1–${PAGES.rows}, got ${size}` });
    }
  }
  if (first != null && last != null) details.push({ path: "last", message: "must not be given together with first" });
  if (details.length > 0) throw invalidInput(details);
  const size = last ?? first ?? PAGES.defaultRows;
  return { size, limit: size + 1, backward: last != null, after: after ?? null, before: before ?? null };
}

/**
 * Cuts a page from what was read for it.
 * @param read from the page's end when the part is backward.
 * @param more whether the list goes on beyond what was read.
 */
export function pageOf<T extends object>(
  { size, backward, after, before }: PagePart,
  read: readonly T[],
  cursorOf: (item: T) => string,
  more = read.length > size,
): Page<T> {
  const items = read.slice(0, size).map((item) => placed(item, cursorOf));
  return backward
    ? { items: items.toReversed(), hasNextPage: before !== null, hasPreviousPage: more }
    : { items, hasNextPage: more, hasPreviousPage: after !== null };
}

/** Gives an item its cursor, which is made when it is asked for: to make 200 takes longer than to read 200 jobs. */
export function placed<T extends object>(item: T, cursorOf: (item: T) => string): Placed<T> {
  return {
    ...item,
    get cursor() {
      return cursorOf(item);
    },
  };
}
