import { relative } from "node:path";
import TestSequencer from "@jest/test-sequencer";
import { LONGEST_FILES } from "./longest-files.ts";

/**
 * Begins with the files that take longest, so that no processor waits for them at the end. Jest alone knows them from its
 * cache only, and a fresh clone has none.
 */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const placeOf = ({ path, context }) => {
      const file = relative(context.config.rootDir, path);
      const place = LONGEST_FILES.findIndex((start) => file.startsWith(start));
      return place === -1 ? LONGEST_FILES.length : place;
    };
    const asUsual = super.sort.call(this, tests);
    return asUsual.toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}
