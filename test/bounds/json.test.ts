import { jsonFault } from "../../src/bounds/json.js";

const MAX = { bytes: 256 * 1024, levels: 64 };

it("refuses long whole numbers without writing all of them out", () => {
  const long = 10n ** 308n;
  expect(jsonFault({ numbers: Array.from({ length: 50_000 }, () => long) }, MAX)).toEqual({
    path: [],
    message: "must be at most 262144 bytes as JSON, got more",
  });
});

it("takes long whole numbers as far as their digits go", () => {
  const digits = (count: number) => ({ n: Array.from({ length: count }, () => 10n ** 99n) });
  // 101 bytes each with its comma, and eight around them, less the last comma.
  expect(jsonFault(digits(2_595), MAX)).toBeNull();
  expect(jsonFault(digits(2_596), MAX)).toEqual({
    path: [],
    message: "must be at most 262144 bytes as JSON, got more",
  });
});
