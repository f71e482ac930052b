import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const COPIED = ["src", "package.json", "tsconfig.json", "tsconfig.build.json"];

/**
 * Compiles a copy of the source in which one file is changed.
 * @returns the compiler's errors, by the file that they are in.
 */
export async function compileWith(file: string, change: (source: string) => string): Promise<Map<string, string[]>> {
  const copy = await mkdtemp(join(tmpdir(), "atlas-compile-"));
  for (const path of COPIED) await cp(path, join(copy, path), { recursive: true });
  await symlink(resolve("node_modules"), join(copy, "node_modules"));
  const changed = change(await readFile(file, "utf8"));
  await writeFile(join(copy, file), changed);
  const tsc = [resolve("node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json", "--noEmit"];
  const output = await new Promise<string>((done) => {
    execFile(process.execPath, tsc, { cwd: copy }, (_error, stdout) => done(stdout));
  });
  await rm(copy, { recursive: true });
  // An error's further lines are indented.
  const errors = output.split(/\n(?=\S)/);
  return Map.groupBy(errors, (error) => error.slice(0, error.indexOf("(")));
}
