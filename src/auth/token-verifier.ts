import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import jwt, { type Algorithm, type JwtHeader, type JwtPayload } from "jsonwebtoken";
import { ConfigError, type KeySource } from "../config.js";
import { AtlasError } from "../errors.js";
import { ExpiredTokenError } from "./expired-token-error.js";
import { type IssuerKey, KeySet } from "./key-set.js";
import { isUuid } from "../bounds/uuid.js";
import { TOKENS } from "../limits/policies.js";

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

/** The last second that a date can hold. */
const MAX_EXP = 8.64e12;

/**
 * Checks a JSON Web Token: its signature with the configured key, whose kind alone decides the algorithms, then `exp`
 * (required), `nbf`, issuer and audience, and that `sub` is a UUID.
 */
export class TokenVerifier {
  private readonly findKey: (header: JwtHeader) => Promise<IssuerKey>;

  /** @throws {ConfigError} for a PEM key that cannot be used. */
  constructor(private readonly rules: TokenRules) {
    this.findKey = keyFinder(rules.key);
  }

  /**
   * @throws ExpiredTokenError for one that has expired, however long ago, and is good otherwise; AtlasError `invalid_token`
   * for any other, `unavailable` when the key set cannot be fetched.
   */
  async verify(token: string): Promise<Identity> {
    if (token.length > TOKENS.bytes) throw invalidToken(`the token must be at most ${TOKENS.bytes} bytes`);
    const header = headerOf(token);
    // Whatever a token says that it must be understood by, we do not.
    if ("crit" in header) throw invalidToken("its header names extensions (crit)");
    const { key, algorithm } = await this.findKey(header);
    const algorithms = algorithmsFor(key).filter((one) => algorithm === null || one === algorithm);
    if (algorithms.length === 0) throw invalidToken("its key is of a kind that cannot verify it");
    let claims: JwtPayload | string;
    try {
      claims = jwt.verify(token, key, {
        algorithms,
        clockTolerance: TOKENS.clockToleranceSeconds,
        // Looked at last, below: a token that is wrong in another way, too, is a bad one.
        ignoreExpiration: true,
        ...(this.rules.issuer !== null && { issuer: this.rules.issuer }),
        ...(this.rules.audience !== null && { audience: this.rules.audience }),
      });
    } catch (error) {
      throw invalidToken(error instanceof Error ? error.message : "it cannot be verified", error);
    }
    if (typeof claims === "string") throw invalidToken("its payload is no object");
    if (typeof claims.exp !== "number") throw invalidToken("exp is required");
    if (typeof claims.sub !== "string" || !isUuid(claims.sub)) throw invalidToken("sub must be a UUID");
    if ((claims.exp + TOKENS.clockToleranceSeconds) * 1000 <= Date.now()) throw new ExpiredTokenError();
    return { userId: claims.sub.toLowerCase(), expiresAt: new Date(Math.min(claims.exp, MAX_EXP) * 1000) };
  }
}

/** @throws AtlasError `invalid_token` */
function headerOf(token: string): JwtHeader {
  const fault = "it is no JSON Web Token";
  let decoded: jwt.Jwt | null;
  try {
    decoded = jwt.decode(token, { complete: true });
  } catch (error) {
    // Not only null: a payload that is no JSON throws.
    throw invalidToken(fault, error);
  }
  const header: unknown = decoded?.header;
  // Its header, too, may be any JSON.
  if (typeof header !== "object" || header === null) throw invalidToken(fault);
  return header as JwtHeader;
}

function keyFinder(source: KeySource): (header: JwtHeader) => Promise<IssuerKey> {
  if (source.kind === "jwks") {
    const keys = new KeySet(source.url);
    return async ({ kid }) => {
      if (typeof kid !== "string") throw invalidToken("its header names no key (kid)");
      const found = await keys.find(kid);
      if (found === null) throw invalidToken("its key is unknown");
      return found;
    };
  }
  const key = source.kind === "secret" ? createSecretKey(Buffer.from(source.secret)) : publicKey(source.pem);
  return () => Promise.resolve({ key, algorithm: null });
}

function publicKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    throw new ConfigError(`JWT_PUBLIC_KEY cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (algorithmsFor(key).length > 0) return key;
  throw new ConfigError(`JWT_PUBLIC_KEY must be an RSA or EC key, got ${key.asymmetricKeyType}`);
}

const CURVES: Readonly<Record<string, Algorithm>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

/** Never taken from the token: an HS256 token signed with a public key must not pass. */
function algorithmsFor({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Algorithm[] {
  if (type === "secret") return ["HS256"];
  if (asymmetricKeyType === "rsa") return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
  if (asymmetricKeyType === "rsa-pss") return ["PS256", "PS384", "PS512"];
  const curve = asymmetricKeyType === "ec" ? CURVES[asymmetricKeyDetails?.namedCurve ?? ""] : undefined;
  return curve === undefined ? [] : [curve];
}

function invalidToken(reason: string, cause?: unknown): AtlasError {
  return new AtlasError("invalid_token", `The bearer token is not valid: ${reason}`, { cause });
}
