import { readFile } from "node:fs/promises";
import * as policies from "../../src/limits/policies.js";

type Policies = Readonly<Record<string, Readonly<Record<string, number | null>>>>;

const page = await readFile("docs/limits.md", "utf8");

const UNITS: [name: RegExp, units: readonly (readonly [count: number, name: string])[]][] = [
  [
    /bytes/i,
    [
      [1024 ** 2, "MiB"],
      [1024, "KiB"],
      [1, "byte"],
    ],
  ],
  [
    /ms$/i,
    [
      [86_400_000, "day"],
      [1_000, "s"],
      [1, "ms"],
    ],
  ],
  [/seconds$/i, [[1, "s"]]],
  [/years$/i, [[1, "year"]]],
];

/** A policy as people write it, in the largest unit of which it is a whole number. */
function written(name: string, value: number | null): string {
  if (value === null) return "no limit";
  const [, units = []] = UNITS.find(([end]) => end.test(name)) ?? [];
  const [count, unit] = units.find(([size]) => value % size === 0) ?? [1, ""];
  const number = (value / count).toLocaleString("en-US").replace("-", "−");
  const plural = number !== "1" && /^[a-z]{3,}$/.test(unit) ? "s" : "";
  return `${number} ${unit}${plural}`.trim() + (name.endsWith("PerSecond") ? " a second" : "");
}

/** In what a page's rows (what, bound, name) differ from the policies. */
function differences(rows: string, of: Policies): string[] {
  const onPage = [...rows.matchAll(/^\|.*\| +([^|]+?) +\| +`([A-Z_]+\.\w+)` +\|$/gm)].map(([, bound, name]) => [
    name,
    bound,
  ]);
  const inCode = Object.entries(of).flatMap(([group, bounds]) =>
    Object.entries(bounds).map(([name, value]) => [`${group}.${name}`, written(name, value)]),
  );
  const [shown, known] = [new Map(onPage as [string, string][]), new Map(inCode as [string, string][])];
  const twice = onPage.length === shown.size ? [] : ["the page has a name twice"];
  const unknown = [...shown.keys()].filter((name) => !known.has(name)).map((name) => `${name} is on the page alone`);
  const others = [...known]
    .filter(([name, bound]) => shown.get(name) !== bound)
    .map(([name, bound]) => `${name} is ${bound}, on the page ${shown.get(name) ?? "missing"}`);
  return [...twice, ...unknown, ...others];
}

describe("docs/limits.md", () => {
  it("has every policy with its number", () => {
    expect(differences(page, policies)).toEqual([]);
  });

  it("has no other numbers, but in code", () => {
    const prose = page.replaceAll(/^(\|.*\|) +[^|]+ +(\| +`[A-Z_]+\.\w+` +\|)$/gm, "$1$2").replaceAll(/`[^`]+`/g, "");
    expect(prose.split("\n").filter((line) => /\d/.test(line))).toEqual([]);
  });

  it("names every setting that limits clients", async () => {
    const settings = [...(await readFile("src/config.ts", "utf8")).matchAll(/^ {2}([A-Z_]+_PER_[A-Z_]+):/gm)];
    const names = settings.map(([, name]) => name ?? "");
    expect(names).toContain("CREATE_LIMIT_PER_MINUTE");
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it("would be told to differ from a number that changes, a new policy, and one that is gone", () => {
    const { keyCharacters: _gone, ...job } = policies.JOB;
    const changed = { ...policies, JOB: { ...job, maxAttempts: 26, depth: 7 } };
    expect(differences(page, changed)).toEqual([
      "JOB.keyCharacters is on the page alone",
      "JOB.maxAttempts is 26, on the page 25",
      "JOB.depth is 7, on the page missing",
    ]);
  });
});
