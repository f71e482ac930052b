// Builds, unless what is built is whole and of these very sources: npm start, npm run cli and npm test ask each time. Where
// production installed (npm ci --omit=dev, the Docker image) there is no compiler, and what was built elsewhere is run as it is.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const COMPILER = "node_modules/typescript/bin/tsc";
const SOURCES = ["src", "tsconfig.json", "tsconfig.build.json", "package-lock.json"];
/** In what was built: the hash of it and of its sources. */
const STAMP = "build.sha256";
const MAX_TRIES = 5;

if (existsSync(COMPILER)) {
  if (!isBuilt()) build();
} else if (!existsSync("dist/main.js")) {
  process.stderr.write("There is nothing to run: build it first (npm ci && npm run build), or bring dist along.\n");
  process.exitCode = 1;
}

function isBuilt() {
  const stamp = join("dist", STAMP);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === hashOf("dist");
}

/** Of contents: a file's time does not tell that it was cut off, or comes from elsewhere. */
function hashOf(built) {
  const hash = createHash("sha256");
  for (const root of [...SOURCES, built]) {
    const names = lstatSync(root).isDirectory() ? filesIn(root) : [""];
    for (const name of names)
      hash
        .update(`${name}\0`)
        .update(readFileSync(join(root, name)))
        .update("\0");
  }
  return hash.digest("hex");
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name !== STAMP && lstatSync(join(folder, name)).isFile())
    .toSorted((one, other) => (one < other ? -1 : 1));
}

/** Builds beside what is there and then takes its place, so that nobody ever runs half of it. */
function build() {
  process.stderr.write("Building…\n");
  removeLeftOvers();
  const [built, replaced] = [`dist-${process.pid}`, `dist-${process.pid}-old`];
  const compiler = spawnSync(process.execPath, [COMPILER, "-p", "tsconfig.build.json", "--outDir", built], {
    // Standard output is the command's that asked.
    stdio: ["ignore", 2, 2],
  });
  if (compiler.status === 0) {
    writeFileSync(join(built, STAMP), hashOf(built));
    takePlace(built, replaced);
  } else {
    process.exitCode = 1;
  }
  for (const path of [built, replaced]) rmSync(path, { recursive: true, force: true });
}

function takePlace(built, replaced) {
  for (let tries = 1; ; tries += 1) {
    try {
      rmSync(replaced, { recursive: true, force: true });
      if (existsSync("dist")) renameSync("dist", replaced);
      renameSync(built, "dist");
      return;
    } catch (error) {
      // Another build took the place in between.
      if (tries === MAX_TRIES) throw error;
    }
  }
}

/** Of builds that were killed. */
function removeLeftOvers() {
  for (const name of readdirSync(".")) {
    const pid = /^dist-(\d+)(-old)?$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(name, { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}
