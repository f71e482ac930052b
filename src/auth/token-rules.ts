import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config, KeySource } from "../config.js";
import type { TokenRules } from "./token-verifier.js";

/** The rules that the settings name; without a key, a secret generated once and kept under `DATA_DIR`. */
export function tokenRules(config: Pick<Config, "tokenKey" | "jwtIssuer" | "jwtAudience" | "dataDir">): TokenRules {
  return {
    key: config.tokenKey ?? developmentSecret(config.dataDir),
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
  };
}

function developmentSecret(dataDir: string): KeySource {
  const file = join(dataDir, "jwt-secret");
  mkdirSync(dataDir, { recursive: true });
  try {
    // "wx": whoever comes second, in another process too, reads what the first has written.
    writeFileSync(file, randomBytes(48).toString("base64url"), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  return { kind: "secret", secret: readFileSync(file, "utf8") };
}
