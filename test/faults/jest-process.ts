// Runs tests as often as it is asked to, in one process: each start of Jest, and of all that the tests import, costs a second.
import { runCLI } from "jest";

/** Which tests to run: files and names, each a pattern. */
export interface TestRequest {
  files: string;
  tests: string;
}

export interface TestAnswer {
  passed: string[];
  /** With the names of what they are described in. */
  failed: string[];
  /** Why tests and files failed. */
  output: string;
}

const TIMEOUT_MS = 12_000;

process.on("message", ({ files, tests }: TestRequest) => {
  void run(files, tests).then((answer) => process.send?.(answer));
});

async function run(files: string, tests: string): Promise<TestAnswer> {
  const options = { $0: "jest", _: [files], testNamePattern: tests, runInBand: true, testTimeout: TIMEOUT_MS };
  const { results } = await runCLI({ ...options, reporters: [] }, [process.cwd()]);
  const named = (status: string): string[] =>
    results.testResults.flatMap(({ testResults }) =>
      testResults.filter((test) => test.status === status).map(({ fullName }) => fullName),
    );
  const output = results.testResults.flatMap(({ failureMessage }) => failureMessage ?? []).join("\n");
  return { passed: named("passed"), failed: named("failed"), output };
}
