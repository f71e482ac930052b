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

  const jest = startJest(folder);
  const gone = ended(jest);
  // Only who waits for an answer is told.
  gone.catch(() => undefined);
  const run = async (files: string, tests: string): Promise<TestAnswer> => {
    const request: TestRequest = { files, tests };
    const answer = once(jest, "message") as Promise<[TestAnswer]>;
    jest.send(request);
    return (await within(BOUND_MS, Promise.race([answer, gone]), `the end of ${files}`))[0];
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
      const answer = await run(tests, literally(test));
      await writeFile(path, sound);
      return answer;
    },
    async remove() {
      jest.kill("SIGKILL");
      await rm(folder, { recursive: true });
    },
  };
}

function startJest(folder: string): ChildProcess {
  const execArgv = ["--disable-warning=ExperimentalWarning", "--experimental-vm-modules"];
  return fork(JEST, { cwd: folder, execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

async function ended(child: ChildProcess): Promise<never> {
  const [code] = (await once(child, "exit")) as [number | null];
  throw new Error(`the process of the planted faults ended with ${code}`);
}

/** The name of a test as the pattern that Jest wants. */
export function literally(name: string): string {
  return name.replaceAll(/[^\w ]/g, ".");
}
