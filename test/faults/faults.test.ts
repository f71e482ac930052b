import { FAULTS } from "./faults.js";
import { copySource, literally, type SourceCopy } from "./planting.js";

let copy: SourceCopy;
beforeAll(async () => {
  copy = await copySource();
});
afterAll(() => copy.remove());

describe("the suite catches", () => {
  it.each(FAULTS)("$name", async (fault) => {
    const { output, failed } = await copy.runWith(fault);
    // The test itself must fail: not its file, and nothing around it.
    expect({ output, failed: failed.length }).toEqual({ output, failed: 1 });
    expect(failed[0]).toContain(fault.caughtBy[1]);
  });
});

it("passes the same tests without a fault", async () => {
  const named = FAULTS.map(({ caughtBy: [, test] }) => literally(test));
  const { passed, output } = await copy.run("test/(feed|queue|worker)/", named.join("|"));
  expect(output).toBe("");
  expect(passed).toHaveLength(new Set(named).size);
});
