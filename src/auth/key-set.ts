import { createPublicKey, type KeyObject } from "node:crypto";
import { JwksClient } from "jwks-rsa";
import { AtlasError } from "../errors.js";

/** A public key, and the one algorithm that its issuer says it is for; null: it does not say. */
export interface IssuerKey {
  key: KeyObject;
  algorithm: string | null;
}

const TIMEOUT_MS = 5_000;
/** How soon a key that the issuer has withdrawn is refused. */
const REFRESH_MS = 600_000;
/** How long an issuer may be away before its keys are no longer believed. */
const MAX_AGE_MS = 86_400_000;
/** Between two questions: key ids that somebody makes up do not reach the issuer more often. */
const COOL_DOWN_MS = 10_000;

/** An issuer's JSON Web Key Set, kept, and asked for again when a key id is unknown or the set has grown old. */
export class KeySet {
  private readonly issuer: JwksClient;
  private keys = new Map<string, IssuerKey>();
  private fetchedAt = -Infinity;
  private askedAt = -Infinity;
  private asking: Promise<void> | null = null;

  constructor(
    url: string,
    private readonly now: () => number = () => performance.now(),
  ) {
    // Cache and limits are ours: the library's limit would keep new keys out for as long as a flood of unknown ids lasts.
    this.issuer = new JwksClient({ jwksUri: url, timeout: TIMEOUT_MS, cache: false, rateLimit: false });
  }

  /**
   * The key with this id; null when the issuer has none.
   * @throws AtlasError `unavailable` when the set cannot be fetched, and none is kept.
   */
  async find(keyId: string): Promise<IssuerKey | null> {
    let failure: unknown = null;
    const known = this.keys.has(keyId) && this.now() - this.fetchedAt <= MAX_AGE_MS;
    const stale = this.now() - this.fetchedAt > REFRESH_MS;
    if ((stale || !known) && (this.asking !== null || this.now() - this.askedAt > COOL_DOWN_MS)) {
      const asked = (this.asking ??= this.fetch()).catch((error: unknown) => (failure = error));
      // Nobody with a known key waits for an issuer that hangs.
      if (!known) await asked;
    }
    if (this.now() - this.fetchedAt > MAX_AGE_MS) {
      const message = "The key set that verifies tokens is not reachable";
      throw new AtlasError("unavailable", message, { retryAfterSeconds: COOL_DOWN_MS / 1000, cause: failure });
    }
    return this.keys.get(keyId) ?? null;
  }

  private async fetch(): Promise<void> {
    this.askedAt = this.now();
    try {
      const found = await this.issuer.getSigningKeys();
      this.keys = new Map(
        found.map((one): [string, IssuerKey] => [
          one.kid,
          { key: createPublicKey(one.getPublicKey()), algorithm: (one.alg as string | undefined) ?? null },
        ]),
      );
      this.fetchedAt = this.now();
    } finally {
      this.asking = null;
    }
  }
}
