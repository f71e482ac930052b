import jwt from "jsonwebtoken";
import type { TokenRules } from "./token-verifier.js";

/**
 * Signs a token for a user, as the command line and the demo do.
 * @param expiresInSeconds from now.
 * @throws if tokens are verified with a key that is not ours to sign with (a key set or a public key).
 */
export function issueToken(rules: TokenRules, userId: string, expiresInSeconds: number): string {
  if (rules.key.kind !== "secret") {
    throw new Error("tokens are issued by whoever holds the private key; this service has only a public one");
  }
  return jwt.sign({}, rules.key.secret, {
    algorithm: "HS256",
    subject: userId,
    expiresIn: expiresInSeconds,
    ...(rules.issuer !== null && { issuer: rules.issuer }),
    ...(rules.audience !== null && { audience: rules.audience }),
  });
}
