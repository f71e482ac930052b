// @ts-check

/**
 * Hosts that jobs may post to, comma-separated, with the port unless it is the scheme's own: `hooks.example.com,
 * 10.0.0.7:9000`; `*` allows any. Whoever may create a job chooses its URL, and reads the answer in its output: without
 * this list, that would open every address this machine can reach, cloud metadata and databases included.
 */
const allowedHosts = (process.env["WEBHOOK_HOSTS"] ?? "").split(",").map((host) => host.trim().toLowerCase());

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024;
/** Client errors that another attempt can cure: request timeout, too early, too many requests. */
const PASSING_CLIENT_ERRORS = [408, 425, 429];

/**
 * Posts a job's `payload` as JSON to its `url`, an allowed http or https one: `{url, payload?}` → `{status, answer}`,
 * where `answer` is the first 16 KiB of the body as text. 2xx completes the job; redirects and client errors fail it at
 * once; anything else is tried again. The receiver can see one job's post more than once, each time under the same
 * `idempotency-key`.
 * @type {import("../../src/handlers/handler.js").Handler}
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
  throw isFinal ? permanent("webhook_refused", message) : new Error(message);
}

/** @param {unknown} text */
function allowedUrl(text) {
  const url = typeof text === "string" ? URL.parse(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw permanent("invalid_input", "url must be an http or https URL");
  }
  if (url.username !== "" || url.password !== "") {
    throw permanent("invalid_input", "url must not contain a user name or password");
  }
  if (!allowedHosts.includes(url.host) && !allowedHosts.includes("*")) {
    throw permanent("invalid_input", `url must be of a host that WEBHOOK_HOSTS names, got ${url.host}`);
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

/**
 * An error that fails the job at once: any whose `permanent` is true does.
 * @param {string} code
 * @param {string} message
 */
function permanent(code, message) {
  return Object.assign(new Error(message), { code, permanent: true });
}
