import { PAGES } from "../../limits/policies.js";

/** What the description of a connection says of its pages. */
export const PAGE_SIZES = `1–${PAGES.rows} a page, ${PAGES.defaultRows} by default`;

/** A connection's argument `first`. */
export const FIRST = {
  nullable: true,
  description: `How many at most, 1–${PAGES.rows}; ${PAGES.defaultRows} by default.`,
};

/** A connection's argument `last`. */
export const LAST = { nullable: true, description: `How many at most, from the end, 1–${PAGES.rows}.` };
