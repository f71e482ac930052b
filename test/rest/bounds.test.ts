import { useApi, useMember } from "../support/api.js";
import { type Answer, call, expectError } from "./call.js";

const DAY_MS = 86_400_000;
const MAX_INPUT_BYTES = 256 * 1024;

const api = useApi({ createLimitPerMinute: 1_000_000 });
const member = useMember(api);

const post = (body: unknown): Promise<Answer> => call(api, "POST", "/v1/jobs", member.headers, body);
const inDays = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
/** An object of so many levels, itself the first. */
const nested = (levels: number): string => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
const sized = (bytes: number): { pad: string } => ({ pad: "x".repeat(bytes - JSON.stringify({ pad: "" }).length) });

describe("a create within the bounds", () => {
  it.each<[string, Record<string, unknown>]>([
    ["a job type of 1 character", { jobType: "A" }],
    ["a job type of 100 characters", { jobType: "😀".repeat(100) }],
    ["a job type with blanks and signs", { jobType: " e-mail/send.v2 \"'; drop table jobs; --" }],
    ["the lowest priority", { jobType: "A", priority: -(2 ** 31) }],
    ["the highest priority", { jobType: "A", priority: 2 ** 31 - 1 }],
    ["an input of 256 KiB", { jobType: "A", input: sized(MAX_INPUT_BYTES) }],
    ["an input of 64 levels", { jobType: "A", input: JSON.parse(nested(64)) as unknown }],
    ["one attempt", { jobType: "A", maxAttempts: 1 }],
    ["25 attempts", { jobType: "A", maxAttempts: 25 }],
    ["an instant within a year", { jobType: "A", runAt: inDays(364) }],
    ["a past instant with an offset", { jobType: "A", runAt: "2001-01-01T00:00:00+02:00" }],
  ])("stores %s as it was sent", async (_what, body) => {
    const created = await post(body);
    expect(created.status).toBe(200);
    const { body: found } = await call(api, "GET", `/v1/jobs/${created.body.id}`, member.headers);
    const { runAt: _runAt, maxAttempts: _maxAttempts, ...shown } = body;
    expect(found.job).toMatchObject(shown);
  });
});

describe("a create past the bounds", () => {
  const refused: [what: string, body: unknown, path: string, message: RegExp][] = [
    ["a job type of 101 characters", { jobType: "A".repeat(101) }, "jobType", /1–100/],
    ["101 characters beyond the basic plane", { jobType: "😀".repeat(101) }, "jobType", /1–100/],
    ["a line break in the job type", { jobType: "A\nB" }, "jobType", /control/],
    ["a NUL in the job type", { jobType: "A\u0000" }, "jobType", /control/],
    ["a C1 control in the job type", { jobType: "A\u0085" }, "jobType", /control/],
    ["a lone surrogate in the job type", '{"jobType":"A\\ud800"}', "jobType", /surrogate/],
    ["a number as job type", { jobType: 7 }, "jobType", /text/],
    ["a list as job type", { jobType: ["A"] }, "jobType", /text/],
    ["two job types", { jobType: "A", job_type: "B" }, "job_type", /differ/],
    ["a fraction as priority", { jobType: "A", priority: 1.5 }, "priority", /-2147483648–2147483647/],
    ["a priority of 10^12", { jobType: "A", priority: 1e12 }, "priority", /-2147483648–2147483647/],
    ["a priority just too high", { jobType: "A", priority: 2 ** 31 }, "priority", /2147483647/],
    ["a priority just too low", { jobType: "A", priority: -(2 ** 31) - 1 }, "priority", /-2147483648/],
    ["an endless priority", '{"jobType":"A","priority":1e999}', "priority", /2147483647/],
    ["text as priority", { jobType: "A", priority: "5" }, "priority", /whole number/],
    ["a list as input", { jobType: "A", input: [] }, "input", /object/],
    ["text as input", { jobType: "A", input: "{}" }, "input", /object/],
    ["a number as input", { jobType: "A", input: 0 }, "input", /object/],
    ["an input past 256 KiB", { jobType: "A", input: sized(MAX_INPUT_BYTES + 1) }, "input", /262144 bytes.*262145/],
    ["an input past it in bytes alone", { jobType: "A", input: { a: "€".repeat(90_000) } }, "input", /262144/],
    [
      "numbers that are short with an exponent alone",
      `{"jobType":"A","input":{"a":[${numbers("1e308")}]}}`,
      "input",
      /262144 bytes/,
    ],
    ["numbers near zero", `{"jobType":"A","input":{"a":[${numbers("5e-324")}]}}`, "input", /262144 bytes/],
    ["an input of 65 levels", `{"jobType":"A","input":${nested(65)}}`, "input", /64 levels/],
    ["an input of 10,000 levels", `{"jobType":"A","input":${nested(10_000)}}`, "input", /64 levels/],
    ["lists of 400,000 levels", `{"jobType":"A","input":{"a":${lists(400_000)}}}`, "input", /64 levels/],
    ["a body of 10,000 levels", lists(10_000), "", /object/],
    ["a job type of 10,000 levels", `{"jobType":${lists(10_000)}}`, "jobType", /text/],
    ["a NUL in a value", { jobType: "A", input: { a: ["x\u0000y"] } }, "input", /NUL/],
    ["a NUL in a key", { jobType: "A", input: { a: { "\u0000": 1 } } }, "input", /NUL/],
    ["a lone surrogate in a value", '{"jobType":"A","input":{"a":"\\udc00"}}', "input", /surrogate/],
    ["a lone surrogate in a key", '{"jobType":"A","input":{"\\ud83d":1}}', "input", /surrogate/],
    ["a NUL under __proto__", '{"jobType":"A","input":{"__proto__":{"a":"\\u0000"}}}', "input", /NUL/],
    ["a number past a double", '{"jobType":"A","input":{"a":-1e999}}', "input.a", /1\.8e308/],
    ["no attempt", { jobType: "A", maxAttempts: 0 }, "maxAttempts", /1–25/],
    ["26 attempts", { jobType: "A", maxAttempts: 26 }, "maxAttempts", /1–25/],
    ["half an attempt", { jobType: "A", maxAttempts: 2.5 }, "maxAttempts", /1–25/],
    ["an instant more than a year ahead", { jobType: "A", runAt: inDays(370) }, "runAt", /1 year/],
    ["an instant that is none", { jobType: "A", runAt: "tomorrow" }, "runAt", /ISO 8601/],
    ["an instant without a zone", { jobType: "A", runAt: "2026-01-01T00:00:00" }, "runAt", /ISO 8601/],
    ["a day that no calendar has", { jobType: "A", runAt: "2026-02-30T00:00:00Z" }, "runAt", /ISO 8601/],
    ["an instant in the year 0", { jobType: "A", runAt: "0000-06-01T00:00:00Z" }, "runAt", /years 1–9999/],
    ["an offset that leads there", { jobType: "A", runAt: "0001-01-01T00:00:00+23:59" }, "runAt", /years 1–9999/],
    ["a number as instant", { jobType: "A", runAt: 1 }, "runAt", /ISO 8601/],
  ];

  it.each(refused)("refuses %s and names it", async (_what, body, path, message) => {
    const answer = await post(body);
    expectError(answer, 400, "invalid_input");
    expect(new Set(answer.body.details?.map((detail) => detail.path))).toEqual(new Set([path]));
    expect(answer.body.message).toMatch(message);
  });

  it("refuses a job type that is missing or blank", async () => {
    for (const jobType of [undefined, null, "", "   ", "\t\n", "\u00a0"]) {
      expectError(await post({ jobType, priority: 1.5 }), 400, "missing_job_type");
    }
    for (const body of ['{"__proto__":{"jobType":"A"}}', { job_type: "" }, { jobtype: "A" }]) {
      expectError(await post(body), 400, "missing_job_type");
    }
  });

  it("names every bad field at once", async () => {
    const answer = await post({ jobType: "A\n", priority: "high", input: [], runAt: 1, maxAttempts: 0 });
    expectError(answer, 400, "invalid_input");
    expect(answer.body.details?.map(({ path }) => path).toSorted()).toEqual(
      ["input", "jobType", "maxAttempts", "priority", "runAt"], // prettier-ignore
    );
  });

  it("stores nothing and costs nothing of the allowances", async () => {
    const other = await api.member({ seat: "free_beta" });
    for (const [, body] of refused) {
      const answer = await call(api, "POST", "/v1/jobs", other.headers, body);
      expect(answer.status).toBe(400);
      expect(answer.headers.has("ratelimit-remaining")).toBe(false);
    }
    expect((await call(api, "GET", "/v1/jobs/list", other.headers)).body.items).toEqual([]);
    const created = await call(api, "POST", "/v1/jobs", other.headers, { jobType: "A" });
    expect(created.headers.get("ratelimit-remaining")).toBe("999999");
    const used = await api.members.dailyJobs({
      ...other,
      role: "member",
      seatType: "free_beta",
      expiresAt: new Date(),
    });
    expect(used.used).toBe(1);
  });
});

/** A thousand of them: seven kilobytes, three hundred as PostgreSQL writes them. */
function numbers(one: string): string {
  return Array.from({ length: 1000 }, () => one).join(",");
}

function lists(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}
