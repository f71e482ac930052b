import { AtlasClientError, type ToldError, toClientError } from "./client-error.js";
import { parseJson, writeNumber } from "./exact-json.js";
import { backOffMs, pause } from "./pause.js";

/** Gives a token; asked with `refresh: true` once the service has refused the last one. */
export type TokenSource = string | ((options: { refresh: boolean }) => string | Promise<string>);

export interface RequestsOptions {
  url: string;
  tenantId: string;
  token: TokenSource;
  fetch: typeof fetch;
}

const MAX_TRIES = 8;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 30_000;

interface Answer {
  data?: Record<string, unknown> | null;
  errors?: ToldError[];
}

/** Queries and mutations over HTTP; what may be repeated is, while the service is away. */
export class Requests {
  constructor(private readonly options: RequestsOptions) {}

  /**
   * Sends an operation, again and again while no answer comes, at most eight times. It must be one that may arrive twice.
   * @throws AtlasClientError
   */
  async ask<T>(query: string, variables: Record<string, unknown>, signal: AbortSignal): Promise<T> {
    let refresh = false;
    for (let tries = 1; ; tries += 1) {
      try {
        return (await this.send(query, variables, refresh, signal)) as T;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AtlasClientError) || tries === MAX_TRIES) throw error;
        if (error.code === "UNAUTHENTICATED" && !refresh) {
          refresh = true;
          continue;
        }
        if (error.code !== "UNREACHABLE" && error.code !== "UNAVAILABLE") throw error;
        const askedForMs = Math.min((error.retryAfterSeconds ?? 0) * 1000, MAX_WAIT_MS);
        await pause(Math.max(askedForMs, backOffMs(tries, FIRST_WAIT_MS, MAX_WAIT_MS)), signal);
      }
    }
  }

  async token(refresh: boolean): Promise<string> {
    const { token } = this.options;
    return typeof token === "string" ? token : token({ refresh });
  }

  private async send(
    query: string,
    variables: Record<string, unknown>,
    refresh: boolean,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { url, tenantId } = this.options;
    const headers = {
      authorization: `Bearer ${await this.token(refresh)}`,
      "x-tenant-id": tenantId,
      "content-type": "application/json",
      accept: "application/graphql-response+json",
    };
    let status: number | undefined;
    let answer: Answer;
    try {
      const response = await this.options.fetch(`${url}/graphql`, {
        method: "POST",
        headers,
        body: JSON.stringify({ query, variables }, writeNumber),
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
      });
      ({ status } = response);
      answer = parseJson(await response.text()) as Answer;
    } catch (cause) {
      // Also what a proxy says in the service's place, which is no JSON.
      const message = status === undefined ? "no answer came" : `an answer that cannot be read came, with ${status}`;
      throw new AtlasClientError("UNREACHABLE", `${url}: ${message}`, {}, { cause });
    }
    const [error] = answer.errors ?? [];
    if (error !== undefined) throw toClientError(error);
    if (answer.data == null) {
      throw new AtlasClientError("UNREACHABLE", `${url}: an answer without data came, with ${status}`);
    }
    return Object.values(answer.data)[0];
  }
}
