/**
 * WEBHOOK_POST {url, payload?}: posts `payload` as JSON to a URL and puts out the reply's status.
 *
 * A reply of 2xx completes the job. 4xx, other than 408 and 429, fails it at once; anything else is tried again.
 * Whoever may create jobs may name any URL: set WEBHOOK_HOSTS (comma-separated host names) to say which ones you post to.
 */
const ALLOWED_HOSTS = (process.env.WEBHOOK_HOSTS ?? "").split(",").filter(Boolean);
const MAX_REPLY_BYTES = 64 * 1024;

export default async function webhookPost(input, context) {
  const url = checked(input.url);
  const response = await fetch(url, {
    method: "POST",
    // The same on each attempt, so that the receiver can tell a repetition.
    headers: { "content-type": "application/json", "idempotency-key": context.workId },
    body: JSON.stringify(input.payload ?? {}),
    redirect: "error",
    signal: context.signal,
  });
  const reply = await head(response);
  context.log.info({ status: response.status }, "webhook posted");
  if (response.ok) return { status: response.status, reply };
  const final = response.status >= 400 && response.status < 500 && ![408, 429].includes(response.status);
  throw failure(`${url.host} answered ${response.status}: ${reply.slice(0, 200)}`, final);
}

function checked(value) {
  if (!URL.canParse(value)) throw failure("url must be an http or https URL", true);
  const url = new URL(value);
  if (!["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw failure("url must be an http or https URL without credentials", true);
  }
  if (!ALLOWED_HOSTS.includes(url.hostname)) throw failure(`${url.hostname} is not one of WEBHOOK_HOSTS`, true);
  return url;
}

/** The reply's beginning; the rest is not read. */
async function head(response) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= MAX_REPLY_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_REPLY_BYTES).toString();
}

function failure(message, permanent) {
  return Object.assign(new Error(message), { code: permanent ? "webhook_refused" : "webhook_failed", permanent });
}
