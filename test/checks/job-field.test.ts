import { compileWith } from "./compile-copy.js";

let errors: Map<string, string[]>;
beforeAll(async () => {
  errors = await compileWith("src/queue/job.ts", (source) =>
    source.replace("export interface JobSummary {", (opening) => `${opening}\n  planted: string;`),
  );
});

describe("a new field of a job does not compile until", () => {
  it.each([
    ["it is selected", "src/queue/job.ts", "required in type 'Record<keyof SummaryColumns, true>'"],
    ["it is read from its column", "src/queue/job.ts", "required in type 'JobSummary'"],
    ["the entity has it", "src/services/read-jobs.ts", "'(keyof SummaryColumns)[]' is not assignable"],
    ["GraphQL shows it, or says that it does not", "src/graphql/api/types/job.ts", "'planted' is missing"],
    ["REST shows it, or says that it does not", "src/rest/job-representation.ts", "'planted' is missing"],
  ])("%s", (_, file, message) => {
    expect(errors.get(file)?.join("\n")).toContain(message);
  });
});
