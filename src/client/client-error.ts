/** What the service refused, or why it could not be reached. */
export class AtlasClientError extends Error {
  override readonly name = "AtlasClientError";
  /** When a retry can succeed, in seconds from now. */
  readonly retryAfterSeconds: number | undefined;

  /**
   * @param code the service's `extensions.code`, or `UNREACHABLE` when no answer came.
   * @param extensions what else the service said: `details`, `lastCursor`, `headCursor`, `requestId`.
   */
  constructor(
    readonly code: string,
    message: string,
    readonly extensions: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    const seconds = extensions["retryAfterSeconds"];
    this.retryAfterSeconds = typeof seconds === "number" ? seconds : undefined;
  }
}

/** An error as GraphQL tells it. */
export interface ToldError {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

export function toClientError({ message, extensions }: ToldError): AtlasClientError {
  const code = extensions?.["code"];
  return new AtlasClientError(typeof code === "string" ? code : "INTERNAL_SERVER_ERROR", message, extensions);
}
