import { z } from "zod";
import { AtlasError, invalidInput } from "../errors.js";
import type { NewJob } from "../queue/enqueue.js";
import { instantFault } from "../bounds/instants.js";
import { jsonFault } from "../bounds/json.js";
import { nameFaults } from "../bounds/text.js";
import { INTEGERS, JOB } from "../limits/policies.js";

/** A create, checked: a new job but for its id. */
export type CreateJobInput = Omit<NewJob, "id">;

const YEAR_MS = 366 * 86_400_000;

const wholeNumber = (min: number, max: number) => {
  const message = `must be a whole number, ${min}–${max}`;
  return z
    .number(message)
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, message)
    .meta({ type: "integer", minimum: min, maximum: max });
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);

const refuseAsName = (value: string, context: z.RefinementCtx): void => {
  for (const message of nameFaults(value)) context.addIssue({ code: "custom", message });
};

const jobType = z
  .string("must be text")
  .refine((value) => Array.from(value).length <= JOB.typeCharacters, `must be 1–${JOB.typeCharacters} characters`)
  .superRefine(refuseAsName)
  .meta({ minLength: 1, maxLength: JOB.typeCharacters });

const input = z
  .custom<Record<string, unknown>>(isObject, "must be a JSON object")
  .superRefine((value, context) => {
    const fault = isObject(value) ? jsonFault(value, { bytes: JOB.inputBytes, levels: JOB.inputLevels }) : null;
    if (fault !== null) context.addIssue({ code: "custom", ...fault });
  })
  .meta({ type: "object" });

const runAt = z
  .union(
    [
      z.date().meta({ type: "string", format: "date-time" }),
      z.iso.datetime({ offset: true }).transform((value) => new Date(value)),
    ],
    "must be an ISO 8601 instant",
  )
  .superRefine((value, context) => {
    const message = instantFault(value);
    if (message !== null) context.addIssue({ code: "custom", message });
  })
  .refine(
    (value) => value.getTime() <= Date.now() + JOB.runAheadYears * YEAR_MS,
    `must be at most ${JOB.runAheadYears} year ahead`,
  );

const idempotencyKey = z
  .string("must be text")
  .refine(
    (value) => value.length >= 1 && value.length <= JOB.keyCharacters,
    `must be 1–${JOB.keyCharacters} characters`,
  )
  .superRefine(refuseAsName)
  .meta({ minLength: 1, maxLength: JOB.keyCharacters });

/** A create as a client sends it: its fields and their bounds, for every surface. */
export const createJob = z.object({
  jobType,
  priority: wholeNumber(INTEGERS.min, INTEGERS.max).default(0),
  input: input.default({}),
  runAt: runAt.nullable().default(null),
  maxAttempts: wholeNumber(1, JOB.maxAttempts).nullable().default(null),
  timeoutMs: wholeNumber(1, JOB.timeoutMs).nullable().default(null),
  idempotencyKey: idempotencyKey.nullable().default(null),
});

/**
 * Checks a create as a client sent it; an explicit null counts as absent, and fields it does not know are ignored.
 * @param path where the create stands in the request, for the errors' paths; empty: it is the request.
 * @throws AtlasError `missing_job_type`, or `invalid_input` with every bad field in `details`.
 */
export function parseCreateJob(raw: unknown, path: readonly (string | number)[] = []): CreateJobInput {
  if (!isObject(raw)) {
    throw invalidInput([{ path: path.join("."), message: "must be a JSON object" }]);
  }
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null && value !== undefined));
  if (given["jobType"] === undefined || (typeof given["jobType"] === "string" && given["jobType"].trim() === "")) {
    throw new AtlasError("missing_job_type", "jobType is required and must not be blank", {
      details: [{ path: [...path, "jobType"].join("."), message: "is required and must not be blank" }],
    });
  }
  const parsed = createJob.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidInput(
    parsed.error.issues.map((issue) => ({ path: [...path, ...issue.path].join("."), message: issue.message })),
  );
}
