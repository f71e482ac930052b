import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const PROGRAM = "src/ensure-built.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-build-"));
  await mkdir(join(folder, "src"));
  for (const name of [PROGRAM, "package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"]) {
    await cp(name, join(folder, name));
  }
  await symlink(resolve("node_modules"), join(folder, "node_modules"), "junction");
  await source("main.ts", "export const answer: number = 1;\n");
  await source("other.ts", "export const other = 2;\n");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const source = (name: string, text: string) => writeFile(join(folder, "src", name), text);
const built = (name: string) => readFile(join(folder, "dist", name), "utf8");

async function ensureBuilt(): Promise<{ code: number; builds: number; output: string }> {
  const child = spawn(process.execPath, [PROGRAM], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  const [code] = (await once(child, "close")) as [number];
  return { code, builds: output.match(/Building/g)?.length ?? 0, output };
}

describe("what runs before npm start and npm run cli", () => {
  it("builds once, and not again while nothing has changed", async () => {
    expect(await ensureBuilt()).toEqual({ code: 0, builds: 1, output: "Building…\n" });
    const { ino } = await stat(join(folder, "dist/main.js"));
    expect(await ensureBuilt()).toEqual({ code: 0, builds: 0, output: "" });
    expect((await stat(join(folder, "dist/main.js"))).ino).toBe(ino);
  });

  it("builds again what has changed, and keeps nothing of a source that is gone", async () => {
    await ensureBuilt();
    await source("main.ts", "export const answer: number = 3;\n");
    await rm(join(folder, "src/other.ts"));
    expect(await ensureBuilt()).toMatchObject({ code: 0, builds: 1 });
    expect(await built("main.js")).toContain("answer = 3");
    await expect(built("other.js")).rejects.toThrow("ENOENT");
  });

  it.each<[string, () => Promise<unknown>]>([
    ["is gone", () => rm(join(folder, "dist"), { recursive: true })],
    ["lacks a file", () => rm(join(folder, "dist/other.js"))],
    ["has a file that was cut off", () => truncate(join(folder, "dist/main.js"), 5)],
    ["lacks the stamp that comes last", () => rm(join(folder, "dist/build.sha256"))],
  ])("builds again when what was built %s", async (_what, harm) => {
    await ensureBuilt();
    const whole = await built("main.js");
    await harm();
    expect(await ensureBuilt()).toMatchObject({ code: 0, builds: 1 });
    expect([await built("main.js"), await built("other.js")]).toEqual([whole, expect.any(String)]);
  });

  it("leaves what was built when a build fails, and fails each time until it is mended", async () => {
    await ensureBuilt();
    await source("main.ts", 'export const answer: number = "3";\n');
    for (let tries = 0; tries < 2; tries += 1) {
      const { code, output } = await ensureBuilt();
      expect([code, output]).toEqual([1, expect.stringContaining("TS2322")]);
    }
    expect(await built("main.js")).toContain("answer = 1");
    expect((await readdir(folder)).filter((name) => name.startsWith("dist"))).toEqual(["dist"]);
  });

  it("is not disturbed by others that build at the same time, nor by what a killed one left", async () => {
    await mkdir(join(folder, `dist-${2 ** 30}`));
    const all = await Promise.all(Array.from({ length: 3 }, ensureBuilt));
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await ensureBuilt()).toMatchObject({ code: 0, builds: 0 });
    expect((await readdir(folder)).filter((name) => name.startsWith("dist"))).toEqual(["dist"]);
  });
});
