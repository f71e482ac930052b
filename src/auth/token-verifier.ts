import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import jwt, { type Algorithm, type JwtHeader, type JwtPayload } from "jsonwebtoken";
import { JwksClient } from "jwks-rsa";
import type { KeySource } from "../config.js";
import { AtlasError } from "../errors.js";
import { isUuid } from "./uuid.js";

/** What a valid token says. */
export interface Identity {
  userId: string;
  expiresAt: Date;
}

export interface TokenRules {
  key: KeySource;
  /** null: not checked. */
  issuer: string | null;
  /** null: not checked. */
  audience: string | null;
}

const CLOCK_TOLERANCE_SECONDS = 30;
const MAX_TOKEN_BYTES = 8192;
const JWKS_TIMEOUT_MS = 5_000;

/**
 * Checks a JSON Web Token: its signature with the configured key, whose kind alone decides the algorithms, then `exp`
 * (required), `nbf`, issuer and audience, and that `sub` is a UUID.
 */
export class TokenVerifier {
  private readonly findKey: (header: JwtHeader) => Promise<KeyObject>;

  /** @throws if a PEM key cannot be read. */
  constructor(private readonly rules: TokenRules) {
    this.findKey = keyFinder(rules.key);
  }

  /** @throws AtlasError `invalid_token`; `unavailable` when the key set cannot be fetched. */
  async verify(token: string): Promise<Identity> {
    if (token.length > MAX_TOKEN_BYTES) throw invalidToken(`the token must be at most ${MAX_TOKEN_BYTES} bytes`);
    const header = jwt.decode(token, { complete: true })?.header;
    if (header === undefined) throw invalidToken("it is no JSON Web Token");
    const key = await this.findKey(header);
    let claims: JwtPayload | string;
    try {
      claims = jwt.verify(token, key, {
        algorithms: algorithmsFor(key),
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        ...(this.rules.issuer !== null && { issuer: this.rules.issuer }),
        ...(this.rules.audience !== null && { audience: this.rules.audience }),
      });
    } catch (error) {
      throw invalidToken(error instanceof Error ? error.message : "it cannot be verified", error);
    }
    if (typeof claims === "string") throw invalidToken("its payload is no object");
    if (typeof claims.exp !== "number") throw invalidToken("exp is required");
    if (typeof claims.sub !== "string" || !isUuid(claims.sub)) throw invalidToken("sub must be a UUID");
    return { userId: claims.sub.toLowerCase(), expiresAt: new Date(claims.exp * 1000) };
  }
}

function keyFinder(source: KeySource): (header: JwtHeader) => Promise<KeyObject> {
  if (source.kind === "jwks") {
    const keySet = new JwksClient({
      jwksUri: source.url,
      timeout: JWKS_TIMEOUT_MS,
      cache: true,
      cacheMaxEntries: 20,
      // The cool-down for unknown key ids: a flood of made-up ones does not reach the issuer.
      rateLimit: true,
      jwksRequestsPerMinute: 10,
    });
    return async ({ kid }) => {
      if (kid === undefined) throw invalidToken("its header names no key (kid)");
      try {
        return createPublicKey((await keySet.getSigningKey(kid)).getPublicKey());
      } catch (error) {
        const name = error instanceof Error ? error.name : "";
        if (name === "SigningKeyNotFoundError" || name === "JwksRateLimitError") {
          throw invalidToken("its key is unknown", error);
        }
        throw new AtlasError("unavailable", "The key set that verifies tokens is not reachable", {
          retryAfterSeconds: 5,
          cause: error,
        });
      }
    };
  }
  const key = source.kind === "secret" ? createSecretKey(Buffer.from(source.secret)) : createPublicKey(source.pem);
  return () => Promise.resolve(key);
}

/** Never taken from the token: an HS256 token signed with a public key must not pass. */
function algorithmsFor(key: KeyObject): Algorithm[] {
  if (key.type === "secret") return ["HS256"];
  return key.asymmetricKeyType === "ec"
    ? ["ES256", "ES384", "ES512"]
    : ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
}

function invalidToken(reason: string, cause?: unknown): AtlasError {
  return new AtlasError("invalid_token", `The bearer token is not valid: ${reason}`, { cause });
}
