import { randomInt } from "node:crypto";
import { type Request, type RequestHandler, type Response, text } from "express";
import { parseJson } from "../bounds/exact-json.js";
import { AtlasError } from "../errors.js";
import type { Pace } from "../limits/pace.js";
import { BODIES } from "../limits/policies.js";
import { localsOf } from "./request-locals.js";

/** The values and names of smaller bodies are not counted. */
const COUNTED_BYTES = 64 * 1024;

/**
 * Parses a JSON body of at most `limitBytes`, and refuses other media types. A request without a body passes: the
 * route says what is missing.
 * @param pace at which each user may send bodies; the next body of a user who is ahead of it is read later.
 */
export function jsonBody(limitBytes: number, pace: Pace): RequestHandler[] {
  const refuseOthers: RequestHandler = (request, _response, next) => {
    const empty = request.headers["transfer-encoding"] === undefined && !Number(request.headers["content-length"] ?? 0);
    if (empty || request.is(["application/json", "+json"])) {
      next();
      return;
    }
    next(new AtlasError("unsupported_media_type", "Send the body as application/json"));
  };
  const takeTurn: RequestHandler = async (_request, response, next) => {
    const sender = senderOf(response);
    if (sender !== undefined) await pace.turn(sender);
    next();
  };
  const verify = (_request: unknown, response: unknown, body: Buffer, charset: string): void => {
    // JSON between systems is UTF-8 (RFC 8259), and the counts below read its bytes.
    if (charset !== "utf-8") throw new AtlasError("unsupported_media_type", "Send the body in UTF-8");
    const { values, names } = countsOf(body);
    const sender = senderOf(response as Response);
    if (sender !== undefined)
      pace.spend(sender, body.length + values * BODIES.valueWeightBytes + names * BODIES.nameWeightBytes);
    if (values > BODIES.values) throw tooMany(`${BODIES.values} values`);
    if (names > BODIES.names) throw tooMany(`${BODIES.names} fields of different names`);
  };
  return [refuseOthers, takeTurn, text({ limit: limitBytes, type: ["application/json", "+json"], verify }), parse];
}

/** In place of Express's own parser, which makes a double of each number and so changes long ones. */
const parse: RequestHandler = (request: Request, _response, next) => {
  const body: unknown = request.body;
  if (typeof body === "string") {
    try {
      request.body = body === "" ? {} : parseJson(body, JSON.rawJSON, BODIES.longNumbers);
    } catch (error) {
      if (error instanceof RangeError) throw tooMany(`${BODIES.longNumbers} numbers that no double holds`);
      throw new AtlasError("invalid_json", "The body is no JSON", { cause: error });
    }
  }
  next();
};

function senderOf(response: Response): string | undefined {
  return localsOf(response).viewer?.userId;
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACKET, BRACE] = Buffer.from('"\\,:[{');

/** Counts a body's values, and about how many different names its fields have; what stands inside of texts does not count. */
function countsOf(body: Buffer): { values: number; names: number } {
  const counts = { values: 0, names: 0 };
  if (body.length < COUNTED_BYTES) return counts;
  const seen = new Uint8Array(HASHES);
  let textAt = 0;
  for (let at = 0, quoted = false; at < body.length; at++) {
    const byte = body[at];
    if (quoted) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) {
      quoted = true;
      textAt = at;
    } else if (byte === COLON) {
      const hash = hashOf(body, textAt, at);
      counts.names += seen[hash] === 1 ? 0 : 1;
      seen[hash] = 1;
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) counts.values += 1;
  }
  return counts;
}

const HASHES = 2 ** 20;
/** Only so much of a name is hashed; a body of 8 MiB has few names that are longer. */
const HASHED_BYTES = 200;
/** Drawn anew by each process and told to nobody: a client cannot look for names with one hash, which would count as one. */
const SEED = randomInt(2 ** 32);

/** FNV-1a, and one step of MurmurHash's finalizer, so that each bit of the hash depends on every byte. */
function hashOf(body: Buffer, from: number, to: number): number {
  let hash = SEED;
  for (let at = from; at < to && at < from + HASHED_BYTES; at++) hash = Math.imul(hash ^ (body[at] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (HASHES - 1);
}

function tooMany(bound: string): AtlasError {
  return new AtlasError("payload_too_large", `A body may have ${bound}, this one has more`);
}
