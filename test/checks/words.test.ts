import { compileWith } from "./compile-copy.js";

const ENUMS = "src/graphql/api/types/enums.ts";

/** List or type of words → a word that is planted in it, and the files which show its words to clients or decide by them. */
const PLANTED: [words: string, word: string, files: string[]][] = [
  [
    "JOB_STATUSES",
    "paused",
    [ENUMS, "src/rest/job-representation.ts", "src/client/jobs.ts", "src/words.ts", "src/worker/worker.ts"],
  ],
  ["SEATS", "gold", [ENUMS, "src/rest/members.routes.ts", "src/services/seats.ts"]],
  ["MEMBER_ROLES", "auditor", [ENUMS, "src/rest/members.routes.ts", "src/auth/permissions.ts"]],
  ["OriginKind", "webhook", [ENUMS, "src/rest/job-representation.ts", "src/client/jobs.ts"]],
  ["ACTOR_KINDS", "mailer", [ENUMS, "src/rest/job-representation.ts"]],
];

let errors: Map<string, string[]>;
beforeAll(async () => {
  errors = await compileWith("src/words.ts", (source) =>
    PLANTED.reduce(
      (planted, [words, word]) =>
        planted
          .replace(`${words} = [`, () => `${words} = ["${word}", `)
          .replace(`type ${words} = `, () => `type ${words} = "${word}" | `),
      source,
    ),
  );
});

describe("a new word does not compile until every surface has it", () => {
  it.each(PLANTED.flatMap(([list, word, files]) => files.map((file) => [list, file, word] as const)))(
    "%s: %s",
    (_, file, word) => {
      expect(errors.get(file)?.join("\n")).toMatch(new RegExp(`["']${word}["']`));
    },
  );
});
