import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "../../src/database/database.js";
import { UnreachableError } from "../../src/database/reach.js";
import { useDatabase, silent } from "../support/database.js";
import { type DatabaseProxy, openDatabaseProxy } from "../support/database-proxy.js";
import { inheritedVariables } from "../support/inherited-variables.js";
import { spawnService, startService } from "../support/service.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

const own = useDatabase({ per: "test" });
let proxy: DatabaseProxy;
let dataDir: string;
beforeEach(async () => {
  proxy = await openDatabaseProxy(own.url);
  atEnd(() => proxy.close());
  dataDir = await mkdtemp(join(tmpdir(), "atlas-start-"));
  atEnd(() => rm(dataDir, { recursive: true }));
});

const addressOf = (url: string) => {
  const { hostname, port, pathname, username } = new URL(url);
  return { host: hostname, port: Number(port), name: pathname.slice(1), user: username };
};
const linesOf = (output: string) =>
  output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const variables = (url: string) => ({ DATABASE_URL: url, DATA_DIR: dataDir, ROLE: "api" });

describe("a service whose database is away at its start", () => {
  it("waits for it, says where it looks, and then serves", async () => {
    proxy.set("away");
    const starting = startService(variables(proxy.url));
    await until(() => proxy.refused >= 2);
    proxy.set("there");
    const service = await starting;
    const waits = linesOf(service.output()).filter(({ level }) => level === "warn");
    expect(waits.length).toBeGreaterThan(0);
    expect(waits[0]).toMatchObject({ msg: "the database is away; it is waited for", database: addressOf(proxy.url) });
    expect(service.output()).not.toContain(new URL(own.url).password);
    expect(await service.end("SIGTERM")).toBe(0);
  });

  it("ends when it is told to while it waits", async () => {
    proxy.set("away");
    const { child } = spawnService(variables(proxy.url));
    const ended = once(child, "exit");
    await until(() => proxy.refused >= 1);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  it("ends at once with one line when it is not let in", async () => {
    const url = Object.assign(new URL(own.url), { password: "not-the-password" }).href;
    const { child, output } = spawnService(variables(url));
    expect(await once(child, "exit")).toEqual([1, null]);
    const [line, ...more] = linesOf(output());
    expect(more).toEqual([]);
    expect(line).toMatchObject({ level: "fatal", database: addressOf(url), msg: expect.stringMatching(/password/) });
    expect(output()).not.toMatch(/not-the-password| {4}at /);
  });
});

it("a command says in one line which database does not answer", async () => {
  proxy.set("away");
  const env = { ...inheritedVariables(), DATABASE_URL: proxy.url, DATA_DIR: dataDir };
  const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, ["dist/cli/main.js", "tenant", "create", "--name", "A"], { env }, (error, _, text) =>
      resolve({ code: error?.code, stderr: text }),
    );
  });
  const { host, port, name, user } = addressOf(proxy.url);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^The database ${name} at ${host}:${port} cannot be used as ${user}: .*\n$`));
});

it("the wait has an end", async () => {
  proxy.set("away");
  const error: unknown = await Database.connect({ url: proxy.url, poolSize: 1, log: silent, waitMs: 600 }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UnreachableError);
  expect(error).toHaveProperty("address", addressOf(proxy.url));
  expect(proxy.refused).toBeGreaterThan(1);
});
