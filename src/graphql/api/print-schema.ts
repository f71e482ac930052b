import { readFileSync, writeFileSync } from "node:fs";
import { printSchema } from "graphql";
import { createSchema } from "./schema.js";

// Run from the project's root: writes schema.graphql, or with --check fails when the file is not what it would write.
const FILE = "schema.graphql";
const printed = `${printSchema(await createSchema())}\n`;

if (!process.argv.includes("--check")) {
  writeFileSync(FILE, printed);
} else if (readFileSync(FILE, "utf8") !== printed) {
  process.stderr.write(`${FILE} is not fresh: run npm run schema and commit it\n`);
  process.exitCode = 1;
}
