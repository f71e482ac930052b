// Before `npm start` and `npm run cli`: builds, where there is a compiler. Where production installed (npm ci --omit=dev, the Docker
// image) there is none, and what was built elsewhere is run as it is.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

if (existsSync("node_modules/typescript")) {
  process.exitCode = spawnSync(process.execPath, ["--run", "build"], { stdio: "inherit" }).status ?? 1;
} else if (!existsSync("dist/main.js")) {
  process.stderr.write("There is nothing to run: build it first (npm ci && npm run build), or bring dist along.\n");
  process.exitCode = 1;
}
