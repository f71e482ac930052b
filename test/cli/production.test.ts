import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { useDatabase } from "../support/database.js";
import { atEnd } from "../support/use.js";

const own = useDatabase();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-production-"));
  atEnd(() => rm(folder, { recursive: true }));
  for (const path of await imageFiles()) await cp(path, join(folder, path), { recursive: true });
  await linkProductionPackages();
});

/** What the image gets of ours, as its last stage copies it. */
async function imageFiles(): Promise<string[]> {
  const stage = (await readFile("Dockerfile", "utf8")).split(/^FROM /m).at(-1) ?? "";
  const sources = [...stage.matchAll(/^COPY (?:--from=build \/app\/)?(.+) \S+$/gm)];
  return sources.flatMap(([, paths = ""]) => paths.split(" "));
}

/** What `npm ci --omit=dev --omit=optional` installs, as the lock file has it; `npm ci` itself would need the registry. */
async function linkProductionPackages(): Promise<void> {
  const lock = JSON.parse(await readFile("package-lock.json", "utf8")) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
  };
  const nested = /^node_modules\/.+\/node_modules\//;
  for (const [path, { dev, optional, devOptional }] of Object.entries(lock.packages)) {
    if (path === "" || nested.test(path) || dev === true || optional === true || devOptional === true) continue;
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await symlink(resolve(path), join(folder, path));
  }
}

function npm(args: readonly string[], variables: Record<string, string> = {}) {
  const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const env = { PATH, NODE_ENV: "production", DATABASE_URL: own.url, JWT_SECRET: "x".repeat(32), ...variables };
  return spawnSync("npm", [...args], { cwd: folder, env, encoding: "utf8" });
}

const cli = (...args: string[]) => npm(["run", "--silent", "cli", "--", ...args]);

describe("where production installs, without the compiler", () => {
  it("runs the command line", () => {
    const token = cli("token", "--user", randomUUID());
    expect({ ...token, stdout: token.stdout.split(".").length }).toMatchObject({ status: 0, stdout: 3, stderr: "" });
    const tenant = cli("tenant", "create", "--name", "T", "--json");
    expect(JSON.parse(tenant.stdout)).toMatchObject({ name: "T" });
  });

  it("has in the image what .dockerignore lets in", async () => {
    const allowed = (await readFile(".dockerignore", "utf8")).split("\n");
    const files = (await imageFiles()).filter((path) => path !== "dist");
    expect(files).toContain("src/ensure-built.js");
    expect(allowed).toEqual(expect.arrayContaining(files.map((path) => `!${path.split("/")[0]}`)));
  });

  it("starts the service", () => {
    // The service itself has read this, and ends: that it serves is shown elsewhere.
    expect(npm(["start"], { PORT: "many" }).stderr).toContain("PORT must be a whole number");
  });

  it("says so where there is nothing built either", async () => {
    await rm(join(folder, "dist"), { recursive: true });
    const token = cli("token", "--user", randomUUID());
    expect(token.status).toBe(1);
    expect(token.stderr).toContain("There is nothing to run: build it first");
  });
});
