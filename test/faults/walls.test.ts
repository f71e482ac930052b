import { copySource, type SourceCopy } from "./planting.js";
import { FILTER_FAULTS, POLICY_FAULTS } from "./wall-faults.js";

let copy: SourceCopy;
beforeAll(async () => {
  copy = await copySource();
});
afterAll(() => copy.remove());

describe("without its filter, a statement that the policies do not hold either is caught", () => {
  it.each(FILTER_FAULTS)("$name", async (fault) => {
    const { output, failed } = await copy.runWith(fault);
    // The test runs twice, with row-level security off and on: where it is on, the fault must not show.
    expect({ output, failed: failed.length }).toEqual({ output, failed: fault.held ? 1 : 2 });
    expect(failed[0]).toMatch(/^with row-level security off, a service/);
    expect(failed[0]).toContain(fault.caughtBy[1]);
  });
});

describe("without a policy, or what looks after it, the suite fails", () => {
  it.each(POLICY_FAULTS)("$name", async (fault) => {
    const { output, failed } = await copy.runWith(fault);
    expect({ output, failed: failed.length }).toEqual({ output, failed: 1 });
    expect(failed[0]).toContain(fault.caughtBy[1]);
  });
});
