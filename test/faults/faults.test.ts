import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FAULTS } from "./faults.js";

const COPIED = ["src", "test", "package.json", "jest.config.js", "tsconfig.json", "tsconfig.build.json"];
const LINKED = ["node_modules", "dist"];
const BOUND_MS = 80_000;

// Faults are planted in a copy, so that the source has no switch for them.
let copy: string;
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "atlas-faults-"));
  for (const path of COPIED) await cp(path, join(copy, path), { recursive: true });
  for (const path of LINKED) await symlink(resolve(path), join(copy, path));
});
afterAll(() => rm(copy, { recursive: true }));

/** Runs tests of the copy, on this run's PostgreSQL. */
function run(file: string, test: string): Promise<string> {
  const jest = [
    "--experimental-vm-modules",
    "node_modules/jest/bin/jest.js",
    file,
    "-t",
    test,
    "--runInBand",
    "--testTimeout=12000",
  ];
  return new Promise((done) => {
    execFile(process.execPath, jest, { cwd: copy, timeout: BOUND_MS }, (_error, stdout, stderr) =>
      done(stdout + stderr),
    );
  });
}

describe("the suite catches", () => {
  it.each(FAULTS)("$name", async ({ file, from, to, caughtBy: [tests, test] }) => {
    const path = join(copy, file);
    const sound = await readFile(path, "utf8");
    expect(sound.split(from)).toHaveLength(2);
    await writeFile(
      path,
      sound.replace(from, () => to),
    );
    const output = await run(tests, test);
    await writeFile(path, sound);
    // The test itself must fail: not its file, and nothing around it.
    const failed = output.split("\n").filter((line) => line.includes("✕"));
    expect({ output, failed: failed.length }).toEqual({ output, failed: 1 });
    expect(failed[0]).toContain(test);
  });
});

it("passes the same tests without a fault", async () => {
  const named = FAULTS.map(({ caughtBy: [, test] }) => test.replaceAll(/[^\w ]/g, "."));
  const output = await run("test/(feed|queue|worker)/", named.join("|"));
  expect(output).not.toContain("✕");
  expect(output).toMatch(new RegExp(`${new Set(named).size} passed`));
});
