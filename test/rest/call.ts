import type { JobDetail, JobItem } from "../../src/rest/job-representation.js";
import type { TestApi } from "../support/api.js";
import { expectContract } from "./expect-contract.js";

/** An answer of the legacy API; `body` is what the route promises, or the contract's error body. */
export interface Answer {
  status: number;
  headers: Headers;
  body: AnswerBody;
}

interface AnswerBody {
  ok?: boolean;
  id?: string;
  status?: string;
  job?: JobDetail;
  org_id?: string;
  user_id?: string | null;
  items?: JobItem[];
  ts?: string;
  error?: string;
  message?: string;
  requestId?: string;
  details?: { path: string; message: string }[];
}

/**
 * Sends a request, and checks what holds for every answer: JSON, never cached, named, and as the route's contract has it.
 * @param body text or bytes go as they are, anything else as JSON.
 */
export async function call(
  api: Pick<TestApi, "url">,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer> {
  const raw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
  const response = await fetch(api.url + path, {
    method,
    headers,
    ...(body !== undefined && { body: raw ? (body as BodyInit) : JSON.stringify(body), duplex: "half" }),
  });
  const text = await response.text();
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  if (method !== "HEAD") {
    expect(text.endsWith("}\n")).toBe(true);
    expect(response.headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
  }
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-request-id")).toMatch(/^[\w.-]{1,100}$/);
  const answer = { status: response.status, headers: response.headers, body: JSON.parse(text) as AnswerBody };
  expectContract(method, path, answer);
  return answer;
}

/** Checks an error's status, code and body, of which nothing may be missing and nothing more be said. */
export function expectError({ status, headers, body }: Answer, expected: number, error: string): void {
  expect({ status, error: body.error, ok: body.ok }).toEqual({ status: expected, error, ok: false });
  expect(body.message).toEqual(expect.any(String));
  expect(body.requestId).toBe(headers.get("x-request-id"));
  expect(Object.keys(body).filter((key) => key !== "details")).toEqual(["ok", "error", "message", "requestId"]);
}
