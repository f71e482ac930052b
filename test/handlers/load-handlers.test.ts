import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../src/config.js";
import { createHandlers } from "../../src/handlers/create-handlers.js";
import { loadHandlers } from "../../src/handlers/load-handlers.js";
import { createLogger } from "../../src/log.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const HANDLER = "export default (input) => ({ got: input });\n";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-handlers-"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
});

afterEach(() => rm(folder, { recursive: true }));

describe("loadHandlers", () => {
  it("takes each module's name for its job type", async () => {
    await files({
      "REPORT.js": HANDLER,
      "mail.digest v2.mjs": HANDLER,
      "TYPED.ts": `const n: number = 1;\n${HANDLER}`,
    });
    const handlers = await loadHandlers(folder, new Set());
    expect([...handlers.keys()].toSorted()).toEqual(["REPORT", "TYPED", "mail.digest v2"]);
    expect(await attemptOf(handlers.get("REPORT")!.handler, { n: 1 }, contextOf())).toEqual({ got: { n: 1 } });
  });

  it("leaves every other file alone", async () => {
    await files({
      "README.md": "",
      ".hidden.js": "throw new Error('loaded')",
      "REPORT.test.js": "throw new Error('loaded')",
      "REPORT.d.ts": "export {}",
      "REPORT.js.map": "{}",
      "data.json": "{}",
    });
    await mkdir(join(folder, "lib.js"));
    expect(await loadHandlers(folder, new Set())).toEqual(new Map());
  });

  it("stops the start with the name and the fault of every bad module", async () => {
    await files({
      "BROKEN.mjs": "export default (",
      "THROWS.mjs": "throw new Error('no API key');",
      "NO_DEFAULT.mjs": "export const handler = () => {};",
      "OBJECT.mjs": "export default {};",
      "TWICE.js": HANDLER,
      "TWICE.mjs": HANDLER,
      "EMAIL_SEND.js": HANDLER,
      "BELL\u0007.js": HANDLER,
      " .js": HANDLER,
      [`${"x".repeat(101)}.js`]: HANDLER,
      "GOOD.js": HANDLER,
    });
    const failure = await failureOf(loadHandlers(folder, new Set(["EMAIL_SEND"])));
    expect(failure).toBeInstanceOf(ConfigError);
    const [heading, ...lines] = failure.message.split("\n");
    expect(heading).toBe(`Cannot start; fix these handlers in ${folder}:`);
    expect(lines).toEqual([
      '  - " .js": its job type must not be blank',
      '  - "BELL\\u0007.js": its job type must not contain control characters',
      expect.stringMatching(/^ {2}- "BROKEN.mjs": ./),
      '  - "EMAIL_SEND.js": its job type is built in',
      '  - "NO_DEFAULT.mjs": its default export must be a function, got undefined',
      '  - "OBJECT.mjs": its default export must be a function, got object',
      '  - "THROWS.mjs": no API key',
      '  - "TWICE.mjs": its job type is also that of TWICE.js',
      `  - "${"x".repeat(101)}.js": its job type must be 1–100 characters, got 101`,
    ]);
  });

  it("stops the start when a module waits at its top for ever", async () => {
    await files({ "HANGS.js": `${HANDLER}await new Promise(() => {});`, "REPORT.js": HANDLER });
    const failure = await failureOf(loadHandlers(folder, new Set(), undefined, 2_000));
    expect(failure).toBeInstanceOf(ConfigError);
    expect(failure.message).toMatch(/ {2}- "HANGS\.js": it must load within 2000 ms$/);
  });

  it("takes what else a module names for its job type, and the defaults where it names nothing", async () => {
    await files({
      "NAMED.js": `export const maxAttempts = 25;
        export const backoff = { firstMs: 60_000, maxMs: 86_400_000 };
        export const timeoutMs = 604_800_000;
        export const ownBusiness = {};
        ${HANDLER}`,
      "PLAIN.js": `export const maxAttempts = null;\n${HANDLER}`,
    });
    const handlers = await loadHandlers(folder, new Set());
    expect(handlers.get("NAMED")).toEqual({
      handler: expect.any(Function),
      maxAttempts: 25,
      backoff: { firstMs: 60_000, maxMs: 86_400_000 },
      timeoutMs: 604_800_000,
      isolate: null,
    });
    expect(handlers.get("PLAIN")).toMatchObject({ maxAttempts: null, backoff: null, timeoutMs: null });
  });

  it.each([
    ["maxAttempts = 0", "export maxAttempts must be a whole number, 1–25, got 0"],
    ["maxAttempts = 26", "export maxAttempts must be a whole number, 1–25, got 26"],
    ["maxAttempts = '3'", "export maxAttempts must be a whole number, 1–25, got '3'"],
    ["maxAttempts = 1.5", "export maxAttempts must be a whole number, 1–25, got 1.5"],
    ["isolate = true", 'export isolate must be "process", got true'],
    ["timeoutMs = 0", "export timeoutMs must be a whole number, 1–604800000, got 0"],
    ["timeoutMs = 10n", "export timeoutMs must be a whole number, 1–604800000, got 10n"],
    ["backoff = 5", "export backoff must be {firstMs, maxMs}"],
    ["backoff = { firstMs: 1 }", "export backoff.maxMs must be a whole number, 0–86400000, got undefined"],
    [
      "backoff = { firstMs: 1, maxMs: 86_400_001 }",
      "export backoff.maxMs must be a whole number, 0–86400000, got 86400001",
    ],
    ["backoff = { firstMs: 2, maxMs: 1 }", "export backoff must have a firstMs that is at most its maxMs"],
    ["backoff = { firstMs: 1, maxMs: 2, factor: 3 }", "export backoff must be {firstMs, maxMs}"],
  ])("stops the start with a module that says %s", async (said, fault) => {
    await files({ "A.js": `export const ${said};\n${HANDLER}` });
    const failure = await failureOf(loadHandlers(folder, new Set()));
    expect(failure.message).toBe(`Cannot start; fix these handlers in ${folder}:\n  - "A.js": its ${fault}`);
  });

  it("stops the start when the folder cannot be read", async () => {
    const failure = await failureOf(loadHandlers(join(folder, "missing"), new Set()));
    expect(failure).toBeInstanceOf(ConfigError);
    expect(failure.message).toContain(join(folder, "missing"));
  });
});

describe("createHandlers", () => {
  const config = { smtpUrl: null, emailFrom: "jobs@localhost", handlersDir: null, production: false };
  const log = createLogger("silent");

  it("offers the built-in handlers", async () => {
    const { handlers } = await createHandlers({ ...config, dataDir: folder }, log);
    expect([...handlers.keys()]).toEqual(["EMAIL_SEND", "ENGINE_RUN"]);
  });

  it("adds the folder's, which an engine run can use as steps", async () => {
    await files({ "REPORT.js": HANDLER });
    const { handlers } = await createHandlers({ ...config, dataDir: folder, handlersDir: folder }, log);
    const steps = [{ jobType: "REPORT", input: { n: 1 } }];
    expect(await attemptOf(handlers.get("ENGINE_RUN")!.handler, { steps }, contextOf({ handlers }))).toEqual({
      steps: [{ jobType: "REPORT", output: { got: { n: 1 } } }],
    });
  });

  it("refuses a module that takes a built-in job type", async () => {
    await files({ "ENGINE_RUN.js": HANDLER });
    const failure = await failureOf(createHandlers({ ...config, dataDir: folder, handlersDir: folder }, log));
    expect(failure).toBeInstanceOf(ConfigError);
    expect(failure.message).toContain('"ENGINE_RUN.js": its job type is built in');
  });

  it("closes", async () => {
    for (const smtpUrl of [null, "smtp://127.0.0.1:1"]) {
      const { close } = await createHandlers({ ...config, smtpUrl, dataDir: folder }, log);
      await expect(close()).resolves.toBeUndefined();
    }
  });
});

async function files(contents: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(contents)) await writeFile(join(folder, name), content);
}
