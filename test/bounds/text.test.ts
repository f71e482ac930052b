import {
  hasControlCharacters,
  holdsUnstorableText,
  nameFaults,
  shortened,
  storableText,
  textFault,
} from "../../src/bounds/text.js";

it("tells what PostgreSQL cannot hold", () => {
  expect(textFault("a\n😀")).toBeNull();
  expect(textFault("a\0")).toBe("must not contain the NUL character");
  expect(textFault("a\ud83d")).toBe("must not contain a lone surrogate");
});

it("tells every fault of a name", () => {
  expect(nameFaults("Job 😀")).toEqual([]);
  expect(nameFaults("\0")).toEqual(["must not contain control characters"]);
  expect(nameFaults("\n\ud800")).toEqual(["must not contain control characters", "must not contain a lone surrogate"]);
  expect(["a\tb", "a\u0085b", "a b"].map(hasControlCharacters)).toEqual([true, true, false]);
});

it("finds unstorable text in JSON, and no backslashes that only look like it", () => {
  const held = ["\0", "\ud800", "\\\0", "\\\\\udfff"].map((text) => holdsUnstorableText(JSON.stringify(text)));
  expect(held).toEqual([true, true, true, true]);
  const not = ["\\u0000", "\\\\ud800", "😀", "\u0001"].map((text) => holdsUnstorableText(JSON.stringify(text)));
  expect(not).toEqual([false, false, false, false]);
});

it("shortens text without leaving half a character", () => {
  expect(shortened("a😀b", 2)).toBe("a\uFFFD");
  expect(shortened("a😀b", 3)).toBe("a😀");
  expect(storableText("a\0b\ud800c", 4)).toBe("a\uFFFDb\uFFFD");
});
