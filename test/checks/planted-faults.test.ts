import { execFile } from "node:child_process";
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

/** What of the project the checks look at. */
const LEFT_OUT = new Set(["node_modules", "dist", ".git", ".data", "coverage"]);

let copy: string;
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "atlas-checks-"));
  await cp(".", copy, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  await symlink(resolve("node_modules"), join(copy, "node_modules"));
});
afterAll(() => rm(copy, { recursive: true }));

function check(script: string): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    execFile("npm", ["run", "--silent", script], { cwd: copy }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

// That each passes without is what CI has just seen; the import rules have a test of their own.
describe("each check fails when its fault is planted", () => {
  it.each([
    ["format:check", "src/log.ts", "const  spaced = 1 ;\n", /src\/log\.ts/],
    ["lint", "src/feed/tail.ts", "Promise.resolve(1);\n", /no-floating-promises/],
    ["lint", "src/log.ts", 'export const home = process.env["HOME"];\n', /no-process-env/],
    ["typecheck", "src/log.ts", 'export const wrong: number = "text";\n', /src\/log\.ts.*TS2322/],
    ["deadcode", "src/log.ts", "export const forgotten = 1;\n", /forgotten/],
    ["schema:check", "schema.graphql", "scalar Stale\n", /schema\.graphql is not fresh/],
  ])("%s, for a fault in %s", async (script, file, fault, named) => {
    const path = join(copy, file);
    const before = await readFile(path, "utf8");
    await appendFile(path, fault);
    const planted = await check(script);
    await writeFile(path, before);
    expect(planted.output).toMatch(named);
    expect(planted.code).not.toBe(0);
  });
});
