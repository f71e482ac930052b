import { z } from "zod";
import { type ErrorCode, type ErrorDetail, ERRORS, invalidInput } from "../errors.js";

/**
 * What a route takes and answers. The router refuses by it a query's unknown names and a body where there is none; the routes read
 * values by its schemas, the tests check answers by it. It converts to JSON Schema.
 */
export interface RouteContract {
  method: "get" | "post" | "delete";
  /** As Express has it: `:id` stands for one segment. */
  path: string;
  /** What it does, in one line. */
  summary: string;
  /** Whether the legacy API had it: such a route ignores what it does not know; ours refuse it by name. */
  legacy: boolean;
  /** The segments with a name; absent: the path has none. */
  params?: z.ZodObject;
  /** By name; another spelling is another name. Absent: it takes none. */
  query?: z.ZodObject;
  /** Headers of this route alone, in lower case; absent: none. */
  headers?: z.ZodObject;
  /** Absent: it takes none. */
  body?: z.ZodObject;
  /** What it answers when all goes well, by status. */
  answers: Readonly<Record<number, Answer>>;
  /** The codes of all errors that it can answer, each with the status of the table. */
  errors: readonly ErrorCode[];
}

/** An answer when all goes well. */
export interface Answer {
  description: string;
  mediaType: "application/json" | "text/event-stream";
  /** As JSON; of a stream of events, each one's data. null: none. */
  body: z.ZodType | null;
  /** Headers that it may have beyond those of every answer. */
  headers: readonly string[];
}

/** Of every route: it signs in and checks. A request that cannot be read at all is `invalid_input`. */
export const SIGNED_IN_ERRORS = [
  "missing_bearer_token",
  "invalid_token",
  "tenant_required",
  "invalid_tenant_id",
  "tenant_access_denied",
  "rate_limit_exceeded",
  "invalid_input",
  "unavailable",
  "internal_error",
] as const satisfies ErrorCode[];

/** Of a route that reads a JSON body. */
export const BODY_ERRORS = [
  "invalid_json",
  "payload_too_large",
  "unsupported_media_type",
] as const satisfies ErrorCode[];

/** The body of an error with one of these codes. */
export function errorItem(codes: readonly ErrorCode[]): z.ZodObject {
  const lastCursor = z.string().optional().describe("The cursor to go on after.");
  const headCursor = z.string().optional().describe("Where the events are now.");
  return z.strictObject({
    ok: z.literal(false),
    error: z.enum(codes),
    message: z.string(),
    requestId: z.string(),
    details: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
    ...(codes.includes("cursor_expired") && { headCursor }),
    ...(codes.includes("slow_consumer") && { lastCursor }),
  });
}

/** The body of each status that a route answers with; null: none. */
export function bodiesOf({ answers, errors }: RouteContract): Map<number, z.ZodType | null> {
  const bodies = new Map(Object.entries(answers).map(([status, { body }]) => [Number(status), body]));
  for (const [status, codes] of Map.groupBy(errors, (code) => ERRORS[code].status))
    bodies.set(status, errorItem(codes));
  return bodies;
}

/** What is wrong with a value, in one detail at most. */
export function faultsOf(schema: z.ZodType, value: unknown, path: string): ErrorDetail[] {
  const issues = schema.safeParse(value).error?.issues ?? [];
  return issues.slice(0, 1).map(({ message }) => ({ path, message }));
}

/** A value of a request, as the contract has it. @throws AtlasError `invalid_input` */
export function read<Schema extends z.ZodType>(schema: Schema, value: unknown, path: string): z.output<Schema> {
  const faults = faultsOf(schema, value, path);
  if (faults.length > 0) throw invalidInput(faults);
  return schema.parse(value);
}

/**
 * A contract's schema as JSON Schema (2020-12).
 * @param io `input`: what a client may send; `output`: what it is answered.
 */
export function toJsonSchema(schema: z.ZodType, io: "input" | "output"): z.core.JSONSchema.BaseSchema {
  // `any`: a create's `input` is checked by our own code and its instants may be Dates; their `meta` says what JSON has.
  return z.toJSONSchema(schema, { io, unrepresentable: "any" });
}
