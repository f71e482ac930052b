import { createHmac, generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import jwt from "jsonwebtoken";
import { type TokenRules, TokenVerifier } from "../../src/auth/token-verifier.js";
import type { KeySource } from "../../src/config.js";

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
    ["another secret's", sign({}, {}, "another secret of thirty-two bytes!!")],
    ["one that has expired", sign({}, { expiresIn: -31 })],
    ["one that is not valid yet", sign({}, { notBefore: 60 })],
    ["one without exp", jwt.sign({}, SECRET, { subject: userId })],
    ["one without sub", jwt.sign({}, SECRET, { expiresIn: 60 })],
    ["one whose sub is no UUID", sign({}, { subject: "me" })],
    ["one of another algorithm", sign({}, { algorithm: "HS512" })],
    ["an unsigned one", jwt.sign({}, "", { algorithm: "none", expiresIn: 60, subject: userId })],
    ["a huge one", sign({ padding: "x".repeat(10_000) })],
  ])("refuses %s", async (_what, token) => {
    await expect(withSecret.verify(token)).rejects.toMatchObject(invalid);
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

  describe("with a key set", () => {
    let issuer: Server;
    let keys: object[] = [];
    let asked = 0;
    let verifier: TokenVerifier;
    const jwk = (kid: string, key = rsa.publicKey) => ({ ...key.export({ format: "jwk" }), kid, use: "sig" });
    const signed = (keyid: string) => sign({}, { algorithm: "RS256", keyid }, rsa.privateKey);

    beforeAll(async () => {
      issuer = createServer((_request, response) => {
        asked += 1;
        response.setHeader("content-type", "application/json").end(JSON.stringify({ keys }));
      });
      await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
      const { port } = issuer.address() as AddressInfo;
      verifier = new TokenVerifier(rules({ kind: "jwks", url: `http://127.0.0.1:${port}/keys` }));
    });
    afterAll(() => new Promise((resolve) => issuer.close(resolve)));

    it("finds the key, asks once, and follows a rotation", async () => {
      keys = [jwk("one")];
      await verifier.verify(signed("one"));
      await expect(verifier.verify(signed("one"))).resolves.toMatchObject({ userId });
      expect(asked).toBe(1);
      keys = [jwk("two")];
      await expect(verifier.verify(signed("two"))).resolves.toMatchObject({ userId });
    });

    it("refuses unknown and missing key ids, and does not let a flood of them through to the issuer", async () => {
      await expect(verifier.verify(sign({}, { algorithm: "RS256" }, rsa.privateKey))).rejects.toMatchObject(invalid);
      const before = asked;
      for (let n = 0; n < 30; n += 1)
        await expect(verifier.verify(signed(`made-up-${n}`))).rejects.toMatchObject(invalid);
      expect(asked - before).toBeLessThanOrEqual(10);
    });

    it("says unavailable when the key set cannot be fetched", async () => {
      const nowhere = new TokenVerifier(rules({ kind: "jwks", url: "http://127.0.0.1:1/keys" }));
      await expect(nowhere.verify(signed("one"))).rejects.toMatchObject({ code: "unavailable" });
    });
  });
});
