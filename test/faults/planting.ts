import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { within } from "../support/within.js";
import type { Fault } from "./faults.js";
import type { TestAnswer, TestRequest } from "./jest-process.js";

const COPIED = ["src", "test", "package.json", "jest.config.js", "tsconfig.json", "tsconfig.build.json"];
const LINKED = ["node_modules", "dist"];
const JEST = "test/faults/jest-process.ts";
const BOUND_MS = 80_000;

/** A copy of the source, so that the source itself has no switch for faults. */
export interface SourceCopy {
  /** Runs tests of the copy, on this run's PostgreSQL. @param tests the pattern of their names. */
  run(files: string, tests: string): Promise<TestAnswer>;
  /** Runs the test that must catch the fault, with the fault planted. */
  runWith(fault: Fault): Promise<TestAnswer>;
  remove(): Promise<void>;
}

export async function copySource(): Promise<SourceCopy> {
  const folder = await mkdtemp(join(tmpdir(), "atlas-faults-"));
  for (const path of COPIED) await cp(path, join(folder, path), { recursive: true });
  for (const path of LINKED) await symlink(resolve(path), join(folder, path));

  let jest: ChildProcess | null = null;
  const stop = (): void => {
    jest?.kill("SIGKILL");
    jest = null;
  };
  const run = async (files: string, tests: string): Promise<TestAnswer> => {
    jest ??= startJest(folder);
    const over = new AbortController();
    const { signal } = over;
    const answer = once(jest, "message", { signal }) as Promise<[TestAnswer]>;
    const end = once(jest, "exit", { signal }).then(([code]) => {
      throw new Error(`the process of the planted faults ended with ${code}`);
    });
    const request: TestRequest = { files, tests };
    jest.send(request);
    try {
      return (await within(BOUND_MS, Promise.race([answer, end]), `the end of ${files}`))[0];
    } catch (error) {
      // It may be busy with the same request yet; the next one has a process of its own.
      stop();
      throw error;
    } finally {
      over.abort();
    }
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
      try {
        return await run(tests, literally(test));
      } finally {
        await writeFile(path, sound);
      }
    },
    async remove() {
      stop();
      await rm(folder, { recursive: true });
    },
  };
}

function startJest(folder: string): ChildProcess {
  const execArgv = ["--disable-warning=ExperimentalWarning", "--experimental-vm-modules"];
  return fork(JEST, { cwd: folder, execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

/** The name of a test as the pattern that Jest wants. */
export function literally(name: string): string {
  return name.replaceAll(/[^\w ]/g, ".");
}
