import { globSync } from "node:fs";
import { LONGEST_FILES } from "../support/longest-files.js";

it.each(LONGEST_FILES)("the run begins with files that are there: %s", (start) => {
  expect([...globSync(`${start}*.test.ts`), ...globSync(`${start}**/*.test.ts`)]).not.toEqual([]);
});
