import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

const TYPED = `
import { PermanentError, RetryError, type Handler, type HandlerContext } from "atlas-jobs/handlers";

export const maxAttempts = 8;
const handler: Handler = async (input, context: HandlerContext) => {
  const kept = await context.run("OTHER", { n: 1 });
  await context.checkpoint({ kept });
  if (input["never"] === true) throw new PermanentError("never", "no_way");
  throw new RetryError("busy", 60_000);
};
export default handler;
`;

const CLIENT = `
import { createAtlasClient, type JobStatus } from "atlas-jobs/client";

export const ended: JobStatus[] = ["COMPLETED", "FAILED", "CANCELED"];
const client = createAtlasClient({ url: "http://127.0.0.1:8787", tenantId: "", token: "" });
export const statuses = async (): Promise<JobStatus[]> => (await client.list()).jobs.map(({ status }) => status);
`;

// As a worker does in a process of its own, without a compiler.
const ATTEMPT = `
import { loadHandlers } from ${JSON.stringify(join(ROOT, "dist/handlers/load-handlers.js"))};
import { outcomeOfThrow } from ${JSON.stringify(join(ROOT, "dist/worker/outcome.js"))};
const { handler, maxAttempts } = (await loadHandlers(process.argv[2], new Set())).get("TYPED");
const context = { run: async () => null, checkpoint: async () => undefined };
const outcomes = [];
for (const input of [{ never: true }, {}]) {
  await handler(input, context).catch((error) => outcomes.push(outcomeOfThrow(error, new AbortController().signal)));
}
console.log(JSON.stringify({ maxAttempts, outcomes }));
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-package-"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await mkdir(join(folder, "node_modules"));
  // As npm installs a package from a folder.
  await symlink(ROOT, join(folder, "node_modules/atlas-jobs"));
  await mkdir(join(folder, "handlers"));
  await writeFile(join(folder, "handlers/TYPED.ts"), TYPED);
});
afterEach(() => rm(folder, { recursive: true }));

/** Compiles the modules as their author does. */
async function check(): Promise<{ stdout: string }> {
  const compilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    module: "nodenext",
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["handlers"] }));
  return run(process.execPath, [TSC, "-p", folder]);
}

describe("atlas-jobs/handlers", () => {
  it("gives a module outside of the project the errors that decide a job's fate", async () => {
    await writeFile(join(folder, "attempt.mjs"), ATTEMPT);
    const { stdout } = await run(process.execPath, [join(folder, "attempt.mjs"), join(folder, "handlers")]);
    const stack = expect.stringContaining("TYPED.ts") as string;
    expect(JSON.parse(stdout)).toEqual({
      maxAttempts: 8,
      outcomes: [
        { kind: "failed", code: "no_way", message: "never", permanent: true, retryAfterMs: null, stack },
        { kind: "failed", code: "handler_error", message: "busy", permanent: false, retryAfterMs: 60_000, stack },
      ],
    });
  });

  it("gives it the types of a handler and its context", async () => {
    await expect(check()).resolves.toMatchObject({ stdout: "" });
    await writeFile(join(folder, "handlers/TYPED.ts"), TYPED.replace("context.checkpoint", "context.keep"));
    await expect(check()).rejects.toMatchObject({
      stdout: expect.stringContaining("Property 'keep' does not exist on type 'HandlerContext'"),
    });
  });
});

describe("atlas-jobs/client", () => {
  it("gives a module outside of the project its types, the statuses among them", async () => {
    await writeFile(join(folder, "handlers/client.ts"), CLIENT);
    await expect(check()).resolves.toMatchObject({ stdout: "" });
    await writeFile(join(folder, "handlers/client.ts"), CLIENT.replace("CANCELED", "PAUSED"));
    await expect(check()).rejects.toMatchObject({
      stdout: expect.stringContaining(`Type '"PAUSED"' is not assignable`),
    });
  });
});
