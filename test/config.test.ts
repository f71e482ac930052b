import { ConfigError, loadConfig } from "../src/config.js";

describe("loadConfig", () => {
  it("has the documented defaults", () => {
    expect(loadConfig({})).toMatchObject({
      port: 8787,
      host: "127.0.0.1",
      databaseUrl: null,
      dataDir: expect.stringMatching(/\.data$/),
      role: "all",
      tokenKey: null,
      smtpUrl: null,
      createLimitPerMinute: 30,
      workerConcurrency: 10,
      workerTenantShare: 0.5,
      handlersDir: null,
      retentionDays: 30,
      jobTimeoutMs: 900_000,
      shutdownGraceMs: 30_000,
      notify: true,
      databasePoolSize: 10,
      corsOrigins: [],
      trustProxy: false,
      legacyStatusNames: false,
      production: false,
      logLevel: "info",
    });
  });

  it("reads each variable", () => {
    const env = {
      PORT: "1",
      DATABASE_URL: "postgres://a@b/c",
      ROLE: "worker",
      JWT_SECRET: "x".repeat(32),
      NOTIFY: "off",
      CORS_ORIGINS: "https://a.example, http://localhost:3000",
      TRUST_PROXY: "2",
      LEGACY_STATUS_NAMES: "true",
      NODE_ENV: "production",
      LOG_LEVEL: " ",
    };
    expect(loadConfig(env)).toMatchObject({
      port: 1,
      databaseUrl: "postgres://a@b/c",
      role: "worker",
      tokenKey: { kind: "secret" },
      notify: false,
      corsOrigins: ["https://a.example", "http://localhost:3000"],
      trustProxy: 2,
      legacyStatusNames: true,
      production: true,
      logLevel: "info",
    });
  });

  it("lists every problem in one message, and no secret", () => {
    const env = {
      PORT: "80000",
      DATABASE_URL: "mysql://x",
      ROLE: "boss",
      JWT_SECRET: "short",
      JWT_JWKS_URL: "https://keys.example",
      WORKER_CONCURRENCY: "many",
      NOTIFY: "perhaps",
      CORS_ORIGINS: "a.example",
      TRUST_PROXY: "junk",
      NODE_ENV: "prod",
    };
    const read = () => loadConfig(env);
    expect(read).toThrow(ConfigError);
    for (const name of Object.keys(env)) expect(read).toThrow(name);
    expect(read).not.toThrow("short");
  });

  it.each(["loopback", "10.0.0.0/8, 127.0.0.1", "fd00::/8", "2", "on", "off"])("takes TRUST_PROXY=%s", (value) => {
    expect(() => loadConfig({ TRUST_PROXY: value })).not.toThrow();
  });

  it("wants a key in production", () => {
    expect(() => loadConfig({ NODE_ENV: "production" })).toThrow(
      /JWT_SECRET, JWT_JWKS_URL or JWT_PUBLIC_KEY must be set/,
    );
  });

  it("wants a database of its own in production", () => {
    const production = { NODE_ENV: "production", JWT_SECRET: "x".repeat(32) };
    const refusal = "DATABASE_URL must be set when NODE_ENV=production";
    for (const more of [{}, { ROLE: "api" }, { DATA_DIR: "data" }])
      expect(() => loadConfig({ ...production, ...more })).toThrow(refusal);
    expect(() => loadConfig({ NODE_ENV: "production" })).toThrow(/JWT_SECRET.*\n.*DATABASE_URL/);
    expect(loadConfig({ ...production, DATABASE_URL: "postgres://a@b/c" }).production).toBe(true);
  });

  it.each(["api", "worker"])("wants a database that another process can share with ROLE=%s", (ROLE) => {
    expect(() => loadConfig({ ROLE })).toThrow(
      "DATABASE_URL must be set when ROLE is not all, or DATA_DIR to the folder whose database all roles share",
    );
    expect(loadConfig({ ROLE, DATA_DIR: "data" }).databaseUrl).toBeNull();
    expect(loadConfig({ ROLE, DATABASE_URL: "postgres://a@b/c" }).role).toBe(ROLE);
  });
});
