import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ENUMS = "src/graphql/api/types/enums.ts";
const TSC = resolve("node_modules/typescript/bin/tsc");

/** List or type of words → a word that is planted in it, and the files which show its words to clients or decide by them. */
const PLANTED: [words: string, word: string, files: string[]][] = [
  [
    "JOB_STATUSES",
    "paused",
    [ENUMS, "src/rest/job-representation.ts", "src/client/jobs.ts", "src/words.ts", "src/worker/worker.ts"],
  ],
  ["SEATS", "gold", [ENUMS, "src/rest/members.routes.ts", "src/services/seats.ts"]],
  ["MEMBER_ROLES", "auditor", [ENUMS, "src/rest/members.routes.ts"]],
  ["OriginKind", "webhook", [ENUMS, "src/rest/job-representation.ts", "src/client/jobs.ts"]],
  ["ACTOR_KINDS", "mailer", [ENUMS, "src/rest/job-representation.ts"]],
];

let copy: string;
let output: string;
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "atlas-words-"));
  await cp("src", join(copy, "src"), { recursive: true });
  for (const file of ["tsconfig.json", "tsconfig.build.json", "package.json"]) await cp(file, join(copy, file));
  await symlink(resolve("node_modules"), join(copy, "node_modules"));
  const words = join(copy, "src/words.ts");
  let source = await readFile(words, "utf8");
  for (const [list, word] of PLANTED) {
    source = source
      .replace(`${list} = [`, () => `${list} = ["${word}", `)
      .replace(`type ${list} = `, () => `type ${list} = "${word}" | `);
  }
  await writeFile(words, source);
  output = await new Promise((done) => {
    execFile(process.execPath, [TSC, "-p", "tsconfig.build.json", "--noEmit"], { cwd: copy }, (_error, stdout) =>
      done(stdout),
    );
  });
});
afterAll(() => rm(copy, { recursive: true }));

describe("a new word does not compile until every surface has it", () => {
  it.each(PLANTED.flatMap(([list, word, files]) => files.map((file) => [list, file, word] as const)))(
    "%s: %s",
    (_, file, word) => {
      // An error's further lines are indented.
      const errors = output.split(/\n(?=\S)/).filter((error) => error.startsWith(`${file}(`));
      expect(errors.join("\n")).toMatch(new RegExp(`["']${word}["']`));
    },
  );
});
