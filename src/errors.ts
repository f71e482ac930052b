/** One bad field: `path` as the client spelled it (`input.to`), `message` with the bound and the value's fault. */
export interface ErrorDetail {
  path: string;
  message: string;
}

/**
 * Every error a client can be told, and how each surface tells it: the one place where a code meets its HTTP status
 * and its GraphQL `extensions.code`.
 */
export const ERRORS = {
  missing_bearer_token: { status: 401, graphql: "UNAUTHENTICATED" },
  invalid_token: { status: 401, graphql: "UNAUTHENTICATED" },
  tenant_required: { status: 400, graphql: "TENANT_REQUIRED" },
  invalid_tenant_id: { status: 400, graphql: "BAD_USER_INPUT" },
  tenant_access_denied: { status: 403, graphql: "FORBIDDEN" },
  missing_job_type: { status: 400, graphql: "BAD_USER_INPUT" },
  invalid_input: { status: 400, graphql: "BAD_USER_INPUT" },
  invalid_json: { status: 400, graphql: "BAD_REQUEST" },
  payload_too_large: { status: 413, graphql: "PAYLOAD_TOO_LARGE" },
  unsupported_media_type: { status: 415, graphql: "UNSUPPORTED_MEDIA_TYPE" },
  job_not_found: { status: 404, graphql: "NOT_FOUND" },
  job_running: { status: 409, graphql: "JOB_RUNNING" },
  invalid_transition: { status: 409, graphql: "INVALID_TRANSITION" },
  rate_limit_exceeded: { status: 429, graphql: "RATE_LIMITED" },
  daily_job_limit_exceeded: { status: 429, graphql: "DAILY_JOB_LIMIT_EXCEEDED" },
  invalid_cursor: { status: 400, graphql: "INVALID_CURSOR" },
  cursor_expired: { status: 410, graphql: "CURSOR_EXPIRED" },
  idempotency_conflict: { status: 409, graphql: "IDEMPOTENCY_CONFLICT" },
  query_too_complex: { status: 400, graphql: "QUERY_TOO_COMPLEX" },
  slow_consumer: { status: 503, graphql: "SLOW_CONSUMER" },
  not_found: { status: 404, graphql: "NOT_FOUND" },
  method_not_allowed: { status: 405, graphql: "METHOD_NOT_ALLOWED" },
  unavailable: { status: 503, graphql: "UNAVAILABLE" },
  internal_error: { status: 500, graphql: "INTERNAL_SERVER_ERROR" },
} as const satisfies Record<string, { status: number; graphql: string }>;

export type ErrorCode = keyof typeof ERRORS;

export interface AtlasErrorOptions {
  /** The fields at fault, for `invalid_input`. */
  details?: readonly ErrorDetail[];
  /** When a retry can succeed, in seconds from now; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** What a client needs to go on: a resumable stream's last cursor. Sent as is, so nothing internal. */
  extensions?: Readonly<Record<string, string | number>>;
  cause?: unknown;
}

/** A failure with a code of the table above. It knows no transport: each surface has its own way to tell it. */
export class AtlasError extends Error {
  override readonly name = "AtlasError";
  readonly details: readonly ErrorDetail[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly extensions: Readonly<Record<string, string | number>> | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: AtlasErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.extensions = options.extensions;
  }
}

/** An `invalid_input` whose message names each field and its bound. */
export function invalidInput(details: readonly ErrorDetail[]): AtlasError {
  return new AtlasError("invalid_input", details.map(({ path, message }) => `${path} ${message}`.trim()).join("; "), {
    details,
  });
}
