import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { loadConfig } from "../src/config.js";

interface ComposeFile {
  services: Record<string, { environment?: Record<string, string | null>; ports?: string[]; volumes?: string[] }>;
}

const file = await readFile("docker-compose.yml", "utf8");
const deploy = await readFile("docs/deploy.md", "utf8");
const settings = [...(await readFile("src/config.ts", "utf8")).matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(
  ([, name = ""]) => name,
);
/** The container's own: `PORT` and `HOST` say where it is published. */
const FIXED = new Set(["PORT", "HOST", "ROLE", "DATA_DIR", "NODE_ENV"]);
const SECRETS = { JWT_SECRET: "x".repeat(32), POSTGRES_PASSWORD: "secret" };

/** What Compose makes of the file: `${NAME}`, `:-`, `:+` and `:?` resolved, and what is named without a value taken from `.env`. */
function compose(dotenv: Record<string, string>): ComposeFile["services"] {
  const { services } = parse(interpolate(file.replaceAll(/^\s*#.*$/gm, ""), dotenv), { merge: true }) as ComposeFile;
  for (const { environment = {} } of Object.values(services)) {
    for (const [name, value] of Object.entries(environment)) {
      if (value !== null) continue;
      if (dotenv[name] === undefined) delete environment[name];
      else environment[name] = dotenv[name];
    }
  }
  return services;
}

function interpolate(text: string, dotenv: Record<string, string>): string {
  const resolved = text.replaceAll(
    /\$\{(\w+)(?::([-+?])([^${}]*))?\}/g,
    (_, name: string, sign?: string, word = "") => {
      const value = dotenv[name] ?? "";
      if (sign === "?" && value === "") throw new Error(`${name}: ${word}`);
      if (sign === "+") return value === "" ? "" : word;
      return value === "" ? word : value;
    },
  );
  // An inner one first, then what holds it.
  return resolved === text ? text : interpolate(resolved, dotenv);
}

/** The image's own variables. */
async function imageVariables(): Promise<Record<string, string>> {
  const line = /^ENV (.+)$/m.exec(await readFile("Dockerfile", "utf8"))?.[1] ?? "";
  return Object.fromEntries(line.split(" ").map((pair) => pair.split("=") as [string, string]));
}

describe("docker-compose.yml", () => {
  it("starts the service in production on its own database, mail server and port, from two secrets", async () => {
    const { api, worker, migrate, ...others } = compose(SECRETS);
    const configs = [api, worker, migrate].map((service) => service?.environment ?? {});
    for (const [index, role] of (["api", "worker", "all"] as const).entries()) {
      const variables = { ...(await imageVariables()), ...(configs[index] as Record<string, string>) };
      expect(loadConfig(variables)).toMatchObject({
        production: true,
        role,
        databaseUrl: "postgres://atlas:secret@postgres:5432/atlas",
        smtpUrl: "smtp://mail:1025",
        handlersDir: null,
        logLevel: "info",
      });
    }
    expect(api?.ports).toEqual(["127.0.0.1:8787:8787"]);
    for (const { ports = [] } of Object.values(others))
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it.each(settings.filter((name) => !FIXED.has(name)))("takes %s from .env", (name) => {
    const { api, worker } = compose({ ...SECRETS, [name]: "given" });
    for (const service of [api, worker])
      expect(service?.environment?.[name]).toBe(name === "HANDLERS" ? "/handlers" : "given");
  });

  it("mounts the folder of HANDLERS in the worker", () => {
    expect(compose({ ...SECRETS, HANDLERS: "./mine" })["worker"]?.volumes).toEqual(["./mine:/handlers:ro"]);
  });

  it("publishes the API where HOST and PORT say", () => {
    expect(compose({ ...SECRETS, HOST: "0.0.0.0", PORT: "80" })["api"]?.ports).toEqual(["0.0.0.0:80:8787"]);
  });

  it("does not start without the password", () => {
    expect(() => compose({})).toThrow("POSTGRES_PASSWORD: put it into .env, as docs/deploy.md says");
  });

  it("keeps the secrets of the first start", async () => {
    const folder = await mkdtemp(join(tmpdir(), "atlas-compose-"));
    const [make = ""] = /```sh\n(.*\.env.*)\n```/.exec(deploy)?.slice(1) ?? [];
    const made = [1, 2].map(() => {
      execFileSync("bash", ["-euc", make], { cwd: folder });
      return execFileSync("cat", [".env"], { cwd: folder, encoding: "utf8" });
    });
    expect(made[0]).toMatch(/^JWT_SECRET=[0-9a-f]{64}\nPOSTGRES_PASSWORD=[0-9a-f]{32}\n$/);
    expect(made[1]).toBe(made[0]);
    await rm(folder, { recursive: true });
  });
});
