import { randomInt } from "node:crypto";
import { json, type RequestHandler, type Response } from "express";
import { AtlasError } from "../errors.js";

/**
 * What one body may have. To parse these takes many times as long as to parse as many bytes of text; most of all fields
 * of ever new names, of which one job's input has room for 40,000.
 */
const MAX = { values: 500_000, names: 50_000 };

/**
 * Parses a JSON body of at most `limit`, and refuses other media types. A request without a body passes: what it leaves
 * out is the business of whoever reads it. Leaves the body's size, in bytes, in `response.locals.bodyBytes`.
 */
export function jsonBody(limit: string): RequestHandler[] {
  const refuseOthers: RequestHandler = (request, _response, next) => {
    const empty = request.headers["transfer-encoding"] === undefined && !Number(request.headers["content-length"] ?? 0);
    if (empty || request.is(["application/json", "+json"])) {
      next();
      return;
    }
    next(new AtlasError("unsupported_media_type", "Send the body as application/json"));
  };
  const verify = (_request: unknown, response: unknown, body: Buffer): void => {
    (response as Response).locals["bodyBytes"] = body.length;
    refuseTooMany(body);
  };
  return [refuseOthers, json({ limit, type: ["application/json", "+json"], strict: false, verify })];
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACKET, BRACE] = Buffer.from('"\\,:[{');

/** Counts, outside of texts, what begins a value, and about how many different names fields have. */
function refuseTooMany(body: Buffer): void {
  if (body.length < MAX.values) return;
  const seen = new Uint8Array(HASHES);
  let values = 0;
  let names = 0;
  let textAt = 0;
  for (let at = 0, text = false; at < body.length; at++) {
    const byte = body[at];
    if (text) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) text = false;
    } else if (byte === QUOTE) {
      text = true;
      textAt = at;
    } else if (byte === COLON) {
      const hash = hashOf(body, textAt, at);
      names += seen[hash] === 1 ? 0 : 1;
      seen[hash] = 1;
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) values += 1;
  }
  if (values > MAX.values) throw tooMany(`${MAX.values} values`);
  if (names > MAX.names) throw tooMany(`${MAX.names} fields of different names`);
}

const HASHES = 2 ** 20;
/** So long names are few. */
const HASHED_BYTES = 200;
/** Known to nobody, so that nobody can find names which count as one. */
const MULTIPLIER = randomInt(HASHES) | 1;

function hashOf(body: Buffer, from: number, to: number): number {
  let hash = 0;
  for (let at = from; at < to && at < from + HASHED_BYTES; at++) {
    hash = (Math.imul(hash, MULTIPLIER) + (body[at] ?? 0)) & (HASHES - 1);
  }
  return hash;
}

function tooMany(bound: string): AtlasError {
  return new AtlasError("payload_too_large", `A body may have ${bound}, this one has more`);
}
