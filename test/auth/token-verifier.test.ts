import { createHmac, generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import jwt from "jsonwebtoken";
import { until } from "../support/until.js";
import { ExpiredTokenError } from "../../src/auth/expired-token-error.js";
import { KeySet } from "../../src/auth/key-set.js";
import { type TokenRules, TokenVerifier } from "../../src/auth/token-verifier.js";
import { ConfigError, type KeySource } from "../../src/config.js";

const SECRET = "a secret of at least thirty-two bytes";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = (key: typeof rsa.publicKey) => key.export({ type: "spki", format: "pem" }).toString();
const userId = randomUUID();

const rules = (key: KeySource, rest: Partial<TokenRules> = {}): TokenRules => ({
  key,
  issuer: null,
  audience: null,
  ...rest,
});
const withSecret = new TokenVerifier(rules({ kind: "secret", secret: SECRET }));
const sign = (claims: object, options: jwt.SignOptions = {}, key: jwt.Secret = SECRET) =>
  jwt.sign(claims, key, { expiresIn: 60, subject: userId, ...options });
const invalid = { code: "invalid_token" };

describe("TokenVerifier", () => {
  it("gives the user and the end of a good token", async () => {
    const identity = await withSecret.verify(sign({}));
    expect(identity.userId).toBe(userId);
    expect(identity.expiresAt.getTime()).toBeGreaterThan(Date.now() + 50_000);
  });

  it.each([
    ["nonsense", "x.y.z"],
    ["one whose header is no object", sign({}).replace(/^[^.]+/, "NQ")],
    ["one whose payload is no JSON", sign({}).replace(/\.[^.]+/, ".e30x")],
    ["another secret's", sign({}, {}, "another secret of thirty-two bytes!!")],
    ["one that has expired", sign({}, { expiresIn: -31 })],
    ["one that expired before all dates", jwt.sign({ sub: userId, exp: -1e300 }, SECRET)],
    ["one that is not valid yet", sign({}, { notBefore: 60 })],
    ["one without exp", jwt.sign({}, SECRET, { subject: userId })],
    ["one without sub", jwt.sign({}, SECRET, { expiresIn: 60 })],
    ["one whose sub is no UUID", sign({}, { subject: "me" })],
    ["one of another algorithm", sign({}, { algorithm: "HS512" })],
    ["an unsigned one", jwt.sign({}, "", { algorithm: "none", expiresIn: 60, subject: userId })],
    ["a huge one", sign({ padding: "x".repeat(10_000) })],
    ["one with extensions that must be understood", sign({}, { header: { alg: "HS256", crit: ["b64"] } })],
    ["one whose exp is text", jwt.sign(JSON.stringify({ sub: userId, exp: "9999999999" }), SECRET)],
    ["one whose payload is text", jwt.sign("me", SECRET)],
    ["one cut short", sign({}).slice(0, -3)],
  ])("refuses %s", async (_what, token) => {
    await expect(withSecret.verify(token)).rejects.toMatchObject(invalid);
  });

  it("tells one that has expired, however long ago, from one that is bad, expired or not", async () => {
    const strict = new TokenVerifier(rules({ kind: "secret", secret: SECRET }, { issuer: "us", audience: "them" }));
    const ours = { issuer: "us", audience: "them" };
    const expired = (options: jwt.SignOptions, key = SECRET) => sign({}, { ...ours, expiresIn: -31, ...options }, key);
    for (const expiresIn of [-31, -86_400, -1e9]) {
      await expect(strict.verify(expired({ expiresIn }))).rejects.toBeInstanceOf(ExpiredTokenError);
    }
    for (const bad of [
      expired({}, "another secret of thirty-two bytes!!"),
      expired({ issuer: "others" }),
      expired({ audience: "others" }),
      expired({ subject: "me" }),
      expired({ algorithm: "HS512" }),
      expired({ notBefore: 60 }),
    ]) {
      const refusal = await strict.verify(bad).catch((error: unknown) => error);
      expect(refusal).toMatchObject(invalid);
      expect(refusal).not.toBeInstanceOf(ExpiredTokenError);
    }
  });

  it("takes an end beyond all dates for the last of them", async () => {
    const endless = jwt.sign({ sub: userId, exp: 1e300 }, SECRET);
    expect((await withSecret.verify(endless)).expiresAt.getTime()).toBe(8.64e15);
  });

  it("tolerates 30 s of clock skew and no more", async () => {
    await expect(withSecret.verify(sign({}, { expiresIn: -20 }))).resolves.toMatchObject({ userId });
  });

  it("checks issuer and audience when they are set", async () => {
    const strict = new TokenVerifier(rules({ kind: "secret", secret: SECRET }, { issuer: "us", audience: "them" }));
    await expect(strict.verify(sign({}, { issuer: "us", audience: "them" }))).resolves.toMatchObject({ userId });
    await expect(strict.verify(sign({}, { issuer: "us" }))).rejects.toMatchObject(invalid);
    await expect(strict.verify(sign({}, { issuer: "others", audience: "them" }))).rejects.toMatchObject(invalid);
  });

  it.each([
    ["RSA", rsa, "RS256"],
    ["EC", ec, "ES256"],
  ] as const)(
    "verifies with a PEM key of %s, and never an HMAC made with that key",
    async (_kind, { publicKey, privateKey }, algorithm) => {
      const verifier = new TokenVerifier(rules({ kind: "publicKey", pem: pem(publicKey) }));
      await expect(verifier.verify(sign({}, { algorithm }, privateKey))).resolves.toMatchObject({ userId });
      const [header, payload] = [{ alg: "HS256", typ: "JWT" }, jwt.decode(sign({}))].map((part) =>
        Buffer.from(JSON.stringify(part)).toString("base64url"),
      );
      const mac = createHmac("sha256", pem(publicKey)).update(`${header}.${payload}`).digest("base64url");
      await expect(verifier.verify(`${header}.${payload}.${mac}`)).rejects.toMatchObject(invalid);
      await expect(verifier.verify(sign({}))).rejects.toMatchObject(invalid);
    },
  );

  it.each([
    ["a curve", generateKeyPairSync("ec", { namedCurve: "P-384" }), "ES384"],
    ["a curve", generateKeyPairSync("ec", { namedCurve: "P-521" }), "ES512"],
  ] as const)("pins the algorithm to %s's own", async (_what, { publicKey, privateKey }, algorithm) => {
    const verifier = new TokenVerifier(rules({ kind: "publicKey", pem: pem(publicKey) }));
    await expect(verifier.verify(sign({}, { algorithm }, privateKey))).resolves.toMatchObject({ userId });
    await expect(verifier.verify(sign({}, { algorithm: "ES256" }, ec.privateKey))).rejects.toMatchObject(invalid);
  });

  it.each([
    ["no key at all", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
    ["a key of another kind", pem(generateKeyPairSync("ed25519").publicKey)],
  ])("does not start with %s for a public key", (_what, text) => {
    expect(() => new TokenVerifier(rules({ kind: "publicKey", pem: text }))).toThrow(ConfigError);
  });

  describe("with a key set", () => {
    let issuer: Server;
    let keys: object[] = [];
    let asked = 0;
    let verifier: TokenVerifier;
    let url: string;
    const jwk = (kid: string, key = rsa.publicKey) => ({ ...key.export({ format: "jwk" }), kid, use: "sig" });
    const signed = (keyid: string) => sign({}, { algorithm: "RS256", keyid }, rsa.privateKey);

    beforeAll(async () => {
      issuer = createServer((_request, response) => {
        asked += 1;
        response.setHeader("content-type", "application/json").end(JSON.stringify({ keys }));
      });
      await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
      const { port } = issuer.address() as AddressInfo;
      url = `http://127.0.0.1:${port}/keys`;
      verifier = new TokenVerifier(rules({ kind: "jwks", url }));
    });
    afterAll(() => new Promise((resolve) => issuer.close(resolve)));

    it("finds the key, asks once, and refuses a token that names no key or another kind's", async () => {
      keys = [jwk("one")];
      const before = asked;
      for (let n = 0; n < 3; n += 1) await expect(verifier.verify(signed("one"))).resolves.toMatchObject({ userId });
      expect(asked - before).toBe(1);
      await expect(verifier.verify(sign({}, { algorithm: "RS256" }, rsa.privateKey))).rejects.toMatchObject(invalid);
      await expect(verifier.verify(sign({}, { algorithm: "ES256", keyid: "one" }, ec.privateKey))).rejects.toMatchObject(invalid); // prettier-ignore
      await expect(verifier.verify(sign({}, { keyid: "one" }, pem(rsa.publicKey)))).rejects.toMatchObject(invalid);
    });

    it("believes the issuer on which algorithm a key is for", async () => {
      keys = [{ ...jwk("strict"), alg: "PS256" }];
      const strict = new TokenVerifier(rules({ kind: "jwks", url }));
      await expect(strict.verify(signed("strict"))).rejects.toMatchObject(invalid);
      const good = sign({}, { algorithm: "PS256", keyid: "strict" }, rsa.privateKey);
      await expect(strict.verify(good)).resolves.toMatchObject({ userId });
    });

    describe("kept", () => {
      let now = 0;
      let set: KeySet;
      const found = async (kid: string) => (await set.find(kid)) !== null;
      beforeEach(() => {
        now = 1;
        set = new KeySet(url, () => now);
        keys = [jwk("one")];
      });

      it("follows a rotation, and forgets what the issuer has withdrawn", async () => {
        expect(await found("one")).toBe(true);
        keys = [jwk("two")];
        now += 11_000;
        expect(await found("two")).toBe(true);
        expect(await found("one")).toBe(false);
        keys = [jwk("three")];
        now += 601_000;
        // Nobody with a known key waits for the issuer.
        expect(await found("two")).toBe(true);
        await until(async () => !(await found("two")));
        expect(await found("three")).toBe(true);
      });

      it("lets a flood of made-up key ids through to the issuer once in 10 s, which keeps no new key out", async () => {
        const before = asked;
        for (let n = 0; n < 100; n += 1) expect(await found(`made-up-${n}`)).toBe(false);
        expect(asked - before).toBe(1);
        keys = [jwk("one"), jwk("new")];
        now += 10_001;
        await Promise.all(Array.from({ length: 100 }, (_, n) => found(`made-up-${n}`)));
        expect(asked - before).toBe(2);
        expect(await found("new")).toBe(true);
      });

      it("outlives its issuer for a day, and no longer", async () => {
        expect(await found("one")).toBe(true);
        keys = [];
        now += 86_000_000;
        expect(await found("one")).toBe(true);
        now += 500_000;
        await expect(set.find("one")).rejects.toMatchObject({ code: "unavailable" });
      });
    });

    it("says unavailable when the key set cannot be fetched", async () => {
      const nowhere = new TokenVerifier(rules({ kind: "jwks", url: "http://127.0.0.1:1/keys" }));
      await expect(nowhere.verify(signed("one"))).rejects.toMatchObject({ code: "unavailable" });
    });
  });
});
