import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Fault } from "./faults.js";

const COPIED = ["src", "test", "package.json", "jest.config.js", "tsconfig.json", "tsconfig.build.json"];
const LINKED = ["node_modules", "dist"];
const BOUND_MS = 80_000;

/** A copy of the source, so that the source itself has no switch for faults. */
export interface SourceCopy {
  /** Runs tests of the copy, on this run's PostgreSQL. @returns all that Jest prints. */
  run(files: string, tests: string): Promise<string>;
  /** Runs the test that must catch the fault, with the fault planted. @returns the lines of the tests that failed, too. */
  runWith(fault: Fault): Promise<{ output: string; failed: string[] }>;
  remove(): Promise<void>;
}

export async function copySource(): Promise<SourceCopy> {
  const folder = await mkdtemp(join(tmpdir(), "atlas-faults-"));
  for (const path of COPIED) await cp(path, join(folder, path), { recursive: true });
  for (const path of LINKED) await symlink(resolve(path), join(folder, path));

  const run = (files: string, tests: string): Promise<string> => {
    const jest = ["--experimental-vm-modules", "node_modules/jest/bin/jest.js", files, "-t", tests];
    const options = ["--runInBand", "--verbose", "--testTimeout=12000"];
    return new Promise((done) => {
      execFile(process.execPath, [...jest, ...options], { cwd: folder, timeout: BOUND_MS }, (_error, stdout, stderr) =>
        done(stdout + stderr),
      );
    });
  };
  return {
    run,
    async runWith({ file, from, to, caughtBy: [tests, test] }) {
      const path = join(folder, file);
      const sound = await readFile(path, "utf8");
      if (sound.split(from).length !== 2) throw new Error(`${file} must have this text once: ${from}`);
      await writeFile(
        path,
        sound.replace(from, () => to),
      );
      const output = await run(tests, literally(test));
      await writeFile(path, sound);
      return { output, failed: output.split("\n").filter((line) => line.includes("✕")) };
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

/** The name of a test as the pattern that Jest wants. */
export function literally(name: string): string {
  return name.replaceAll(/[^\w ]/g, ".");
}
