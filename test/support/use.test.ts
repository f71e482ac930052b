import { atEnd, useFixture } from "./use.js";

const log: string[] = [];

class Counter {
  #count = 0;
  constructor(readonly name: string) {}
  add(): number {
    this.#count += 1;
    return this.#count;
  }
}

/** Opens a counter, which writes in the log when it opens and closes. */
async function open(name: string): Promise<Counter> {
  log.push(`+${name}`);
  atEnd(() => log.push(`-${name}`));
  return Promise.resolve(new Counter(name));
}

describe("fixtures", () => {
  describe("of a block, and of each test", () => {
    const outer = useFixture(() => open("outer"));
    const inner = useFixture(() => open(`inner of ${outer.name}`));
    const each = useFixture(() => open("each"), { per: "test" });
    expect(() => outer.name).toThrow("a fixture is open in tests, and in the hooks after its own, alone");

    it("are what was opened", () => {
      expect(Object.entries(outer)).toEqual([["name", "outer"]]);
      expect("add" in outer).toBe(true);
      expect([inner.add(), inner.add(), each.add()]).toEqual([1, 2, 1]);
      atEnd(() => log.push("-test"));
    });

    it("last as long as their block, or their test", () => {
      expect([inner.add(), each.add()]).toEqual([3, 1]);
    });
  });

  it("close after it, the last opened first", () => {
    expect(log).toEqual(
      ["+outer", "+inner of outer", "+each", "-test", "-each", "+each", "-each", "-inner of outer", "-outer"], // prettier-ignore
    );
  });
});
