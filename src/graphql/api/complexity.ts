import { PAGES } from "../../limits/policies.js";

/*
 * What an operation costs: about how many rows it reads, writes or shows, known before it runs. A field without a
 * `complexity` costs what is selected of it.
 */

const COST_OF_SCAN = 200;

interface Estimated {
  args: Record<string, unknown>;
  childComplexity: number;
}

/** For a field that gives a page: what is selected of a row, for as many rows as `first` or `last` asks for. */
export function costOfPage({ args, childComplexity }: Estimated): number {
  const asked = args["first"] ?? args["last"];
  const rows = typeof asked === "number" ? Math.min(Math.max(asked, 1), PAGES.rows) : PAGES.defaultRows;
  return 1 + rows * Math.max(childComplexity, 1);
}

/** For the page of jobs: with a filter by instants, `totalCount` reads every job in that time. */
export function costOfJobs({ args, childComplexity }: Estimated): number {
  const filter = Object(args["filter"]) as Record<string, unknown>;
  const scan = filter["createdAfter"] == null && filter["createdBefore"] == null ? 0 : COST_OF_SCAN;
  return scan + costOfPage({ args, childComplexity });
}

/** For a field that takes a list: what is selected of a row, for each of the list. */
export function costOfList({ args, childComplexity }: Estimated): number {
  return (Array.isArray(args["input"]) ? args["input"].length : 1) * Math.max(childComplexity, 1);
}

/** For a field that gives a row, or one for each row of a page. */
export function costOfRow({ childComplexity }: Estimated): number {
  return 1 + childComplexity;
}

/**
 * For a list whose length is not known before it is read.
 * @param rows how many it usually has.
 */
export function costOfSome(rows: number): (estimated: Estimated) => number {
  return ({ childComplexity }) => rows * (1 + childComplexity);
}
