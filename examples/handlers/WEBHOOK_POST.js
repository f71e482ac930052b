// @ts-check
import { PermanentError, RetryError } from "atlas-jobs/handlers";

/**
 * Hosts that jobs may post to, comma-separated, with the port unless it is the scheme's own: `hooks.example.com,
 * 10.0.0.7:9000`; `*` allows any. Whoever may create a job chooses its URL, and reads the answer in its output: without
 * this list, that would open every address this machine can reach, cloud metadata and databases included.
 */
const allowedHosts = (process.env["WEBHOOK_HOSTS"] ?? "").split(",").map((host) => host.trim().toLowerCase());

/** A receiver that is away is tried for a day: after 10 s, 20 s, 40 s … and at last each two hours. */
export const maxAttempts = 23;
export const backoff = { firstMs: 10_000, maxMs: 7_200_000 };

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024;
/** Client errors that another attempt can cure: request timeout, too early, too many requests. */
const PASSING_CLIENT_ERRORS = [408, 425, 429];

/**
 * Posts a job's `payload` as JSON to its `url`, an allowed http or https one: `{url, payload?}` → `{status, answer}`,
 * where `answer` is the first 16 KiB of the body as text. 2xx completes the job; redirects and client errors fail it at
 * once; anything else is tried again. The receiver can see one job's post more than once, each time under the same
 * `idempotency-key`.
 * @type {import("atlas-jobs/handlers").Handler}
 */
export default async function webhookPost(input, context) {
  const url = allowedUrl(input["url"]);
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": context.workId },
    body: JSON.stringify(input["payload"] ?? null),
    // A redirect could lead to a host that is not allowed.
    redirect: "manual",
    signal: AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  const answer = await firstText(response);
  const { status } = response;
  if (response.ok) return { status, answer };
  const message = `${url.host} answered ${status}: ${answer.slice(0, 500)}`;
  const isFinal = status >= 300 && status < 500 && !PASSING_CLIENT_ERRORS.includes(status);
  if (isFinal) throw new PermanentError(message, "webhook_refused");
  throw new RetryError(message, retryAfterMs(response), "webhook_failed");
}

/**
 * How long the receiver asks us to wait; 0 when it does not, or names an instant instead of seconds.
 * @param {Response} response
 */
function retryAfterMs({ headers }) {
  const seconds = Number(headers.get("retry-after"));
  return Number.isFinite(seconds) ? seconds * 1_000 : 0;
}

/** @param {unknown} text */
function allowedUrl(text) {
  const url = typeof text === "string" ? URL.parse(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new PermanentError("url must be an http or https URL", "invalid_input");
  }
  if (url.username !== "" || url.password !== "") {
    throw new PermanentError("url must not contain a user name or password", "invalid_input");
  }
  if (!allowedHosts.includes(url.host) && !allowedHosts.includes("*")) {
    throw new PermanentError(`url must be of a host that WEBHOOK_HOSTS names, got ${url.host}`, "invalid_input");
  }
  return url;
}

/**
 * Reads no more of an answer than is kept: its sender decides how long it is.
 * @param {Response} response
 */
async function firstText(response) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= MAX_ANSWER_BYTES) break;
  }
  // PostgreSQL cannot hold NUL.
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString("utf8").replaceAll("\0", "\uFFFD");
}
