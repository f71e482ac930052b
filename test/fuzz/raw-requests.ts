import fc from "fast-check";
import type { TestMember } from "../support/api.js";

/** An answer as it went over the wire; header names in lower case. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", "QUERY"];
const BROKEN_METHODS = ["CONNECT", "get", "GETT", "G\u00e9T", ""];
const ROUTES = ["/v1/jobs/list", "/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/cancel", "/graphql", "/graphql?query={__typename}&variables=%7b", "/healthz", "/readyz", "/metrics"]; // prettier-ignore
const TARGETS = ["/", "*", "//", "//a:b@c:99999/", "http://a/v1/jobs/list", "http://[", "http://a:99999/graphql", "https://%/", "/%00", "/%", "/%2e%2e/%2e%2e/etc/passwd", "/v1/../v1/jobs/list", "/v1/jobs/%c0%ae%c0%ae", "/v1/jobs/..;/list", "/v1/jobs/events", `/v1/jobs/list?${"a=b&".repeat(2_000)}`]; // prettier-ignore
const BROKEN_TARGETS = ["/v1/jobs/\u00ff", "/a b", "/a\tb", "/#", "?", "", `/${"a".repeat(20_000)}`];
const VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTX/1.1", ""];

/** Lines that a parser of HTTP lets through, alone and together. */
const HEADER_LINES = [
  "Host: b",
  "Content-Type: application/json",
  "Content-Type: application/json",
  "Content-Type: text/plain",
  "Content-Type: application/json; charset=ibm037",
  "Content-Encoding: gzip",
  "Content-Encoding: br",
  "Content-Encoding: x",
  "Accept: */*",
  "Accept: application/graphql-response+json",
  "Accept: ,;q=,",
  "Apollo-Require-Preflight: 1",
  "Expect: 100-continue",
  "Expect: the unexpected",
  "Connection: keep-alive",
  "Connection: close, upgrade",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Sec-WebSocket-Key: x",
  "Sec-WebSocket-Version: 99",
  "X-Bytes: \u00ff\u0080",
  "__proto__: a",
  "constructor: a",
  "X-Request-Id: a b",
  "X-Request-Id: \u00e9",
  "Last-Event-ID: x",
  "Origin: http://[",
  "X-Forwarded-For: ,,,",
  "Range: bytes=0-0",
  "TE: trailers",
  "Trailer: authorization",
  "Authorization: Bearer x",
  "X-Tenant-Id: 00000000-0000-4000-8000-000000000000",
];

/** Lines that break the request, contradict each other, or flood it. */
const BROKEN_LINES = [
  "Content-Length: 0",
  "Content-Length: 15",
  "Content-Length: 14",
  "Content-Length: 999999999999",
  "Content-Length: -1",
  "Content-Length: 0x10",
  "Content-Length: 15, 15",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding : chunked",
  "X-Folded: a\r\n b",
  " X-Indented: a",
  "No colon",
  ": no name",
  "X Space: a",
  "X-Nul: a\0b",
  `X-Large: ${"a".repeat(20_000)}`,
  Array.from({ length: 300 }, (_, n) => `X-${n}: a`).join("\r\n"),
];

const JSON_BODY = `{"jobType":"A"}`;
const BODIES = [
  "",
  JSON_BODY,
  `{"query":"{__typename}"}`,
  `[${"[".repeat(5_000)}`,
  "\u00ff\u00fe",
  " ".repeat(0x10_0001),
];
const CHUNKS = [
  `f\r\n${JSON_BODY}\r\n0\r\n\r\n`,
  `f;ext="a"\r\n${JSON_BODY}\r\n0\r\nauthorization: Bearer x\r\n\r\n`,
  `100001\r\n${" ".repeat(0x10_0001)}\r\n0\r\n\r\n`,
];
const BROKEN_CHUNKS = [
  `ffffffffffffffff\r\n${JSON_BODY}`,
  `-1\r\n${JSON_BODY}\r\n0\r\n\r\n`,
  `f\r\n${JSON_BODY}`,
  "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
];

/** Behind each request, so that the server has an end to come to; its blank lines stand in for bytes announced and not sent. */
const LAST = `GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${"\r\n".repeat(100)}`;

/** Requests, a character a byte, that a parser takes, whatever they ask for. */
function soundRequest(signedIn: string[]): fc.Arbitrary<string> {
  const plain = fc.constantFrom(...BODIES).map((body) => [`Content-Length: ${body.length}`, body] as const);
  const chunked = fc.constantFrom(...CHUNKS).map((chunks) => ["Transfer-Encoding: chunked", chunks] as const);
  return fc
    .tuple(
      fc.constantFrom(...METHODS),
      fc.constantFrom(...ROUTES, ...TARGETS),
      fc.array(fc.constantFrom(...HEADER_LINES), { maxLength: 4 }),
      fc.oneof({ weight: 3, arbitrary: plain }, { weight: 1, arbitrary: chunked }),
    )
    .map(([method, target, lines, [framing, body]]) =>
      [`${method} ${target} HTTP/1.1`, "Host: a", ...signedIn, ...lines, framing, "", body].join("\r\n"),
    );
}

/** Requests with something wrong at any place of them. */
function brokenRequest(signedIn: string[]): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom("POST", "GET", ...BROKEN_METHODS),
      fc.constantFrom(...ROUTES, ...BROKEN_TARGETS),
      fc.constantFrom(...VERSIONS),
      fc.array(fc.constantFrom(...HEADER_LINES, ...BROKEN_LINES), { maxLength: 5 }),
      fc.constantFrom(...BODIES, ...CHUNKS, ...BROKEN_CHUNKS),
      fc.constantFrom("\r\n", "\n", "\r"),
    )
    .map(([method, target, version, lines, body, end]) =>
      [`${method} ${target} ${version}`, "Host: a", ...signedIn, ...lines, "", body].join(end),
    );
}

/** Requests of every kind from somebody who is let in, and others behind each. */
export function rawRequest({ token, tenantId }: TestMember): fc.Arbitrary<string> {
  const signedIn = [`Authorization: Bearer ${token}`, `X-Tenant-Id: ${tenantId}`];
  const flipped = fc
    .tuple(
      soundRequest(signedIn),
      fc.nat(),
      fc.nat(255).map((code) => String.fromCharCode(code)),
    )
    .map(([request, at, byte]) => {
      const place = at % Math.min(request.length, 1_000);
      return request.slice(0, place) + byte + request.slice(place + 1);
    });
  return fc
    .oneof({ weight: 3, arbitrary: soundRequest(signedIn) }, brokenRequest(signedIn), flipped)
    .map((request) => request + LAST);
}

/** The answers in what came back, but for those that only say to go on. */
export function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== "";) {
    const [head = "", ...others] = rest.split("\r\n\r\n");
    const [line = "", ...fields] = head.split("\r\n");
    const headers = Object.fromEntries(
      fields.map((field) => {
        const [name = "", ...value] = field.split(": ");
        return [name.toLowerCase(), value.join(": ")];
      }),
    );
    const after = others.join("\r\n\r\n");
    const length = lengthOf(headers, after);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]);
    if (status !== 100)
      answers.push({ status, headers, body: Buffer.from(after.slice(0, length), "latin1").toString() });
    rest = after.slice(length);
  }
  return answers;
}

/** How many characters of what follows a head belong to its body. */
function lengthOf(headers: Record<string, string>, after: string): number {
  // The answer to HEAD says the length of a body that it does not have.
  if (after.startsWith("HTTP/1.")) return 0;
  if (headers["content-type"]?.startsWith("text/event-stream")) return after.length;
  if (headers["transfer-encoding"] !== "chunked") return Number(headers["content-length"] ?? 0);
  return after.indexOf("0\r\n\r\n") + "0\r\n\r\n".length;
}
