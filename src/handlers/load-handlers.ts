import { readdir } from "node:fs/promises";
import { join, parse } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { nameFaults } from "../bounds/text.js";
import { ConfigError } from "../config.js";
import { JOB } from "../limits/policies.js";
import type { Handlers, RegisteredHandler } from "./handler.js";
import { parseHandlerModule } from "./handler-module.js";
import { ProcessPool } from "./isolation/process-pool.js";

const MODULE = /^[^.].*\.(?:js|mjs|ts)$/su;
const NO_HANDLER = /\.(?:test\.[^.]+|d\.ts)$/u;
/** For a module, with what it waits for at its top. */
const LOAD_BOUND_MS = 30_000;

/**
 * Loads a folder of handlers: each `.js`, `.mjs` or `.ts` module's name without the extension is a job type, its
 * default export the handler, and other exports its type's settings. Folders inside it, dotfiles, `*.test.*`, `*.d.ts` and
 * all other files are left alone.
 * @param builtIn the job types that a module must not take.
 * @param processes those of the handlers that ask for one; by default they end with this process.
 * @param loadBoundMs what a module may take to load; for tests.
 * @throws {ConfigError} naming every file that is no handler, and why.
 */
export async function loadHandlers(
  folder: string,
  builtIn: ReadonlySet<string>,
  processes = new ProcessPool(),
  loadBoundMs = LOAD_BOUND_MS,
): Promise<Handlers> {
  const files = await moduleFiles(folder);
  const handlers = new Map<string, RegisteredHandler>();
  const problems: string[] = [];
  const fileOf = new Map<string, string>();
  for (const file of files) {
    const jobType = parse(file).name;
    try {
      if (builtIn.has(jobType)) throw new Error("its job type is built in");
      if (fileOf.has(jobType)) throw new Error(`its job type is also that of ${fileOf.get(jobType)}`);
      checkJobType(jobType);
      fileOf.set(jobType, file);
      const module = pathToFileURL(join(folder, file)).href;
      const exports = { ...(await load(module, loadBoundMs)) };
      const registered = parseHandlerModule(exports);
      const isIsolated = registered.isolate === "process";
      // The input is checked before it is sent, as it is for the other ones.
      const isolated = () => parseHandlerModule({ ...exports, default: processes.handlerOf(module) });
      handlers.set(jobType, isIsolated ? isolated() : registered);
    } catch (error) {
      problems.push(`${JSON.stringify(file)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0) {
    throw new ConfigError(
      `Cannot start; fix these handlers in ${folder}:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
    );
  }
  return handlers;
}

async function load(module: string, boundMs: number): Promise<object> {
  const loaded = new AbortController();
  const late = sleep(boundMs, undefined, { signal: loaded.signal }).then(() => {
    throw new Error(`it must load within ${boundMs} ms`);
  });
  return Promise.race([import(module) as Promise<object>, late]).finally(() => loaded.abort());
}

async function moduleFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && MODULE.test(entry.name) && !NO_HANDLER.test(entry.name))
      .map((entry) => entry.name)
      .toSorted();
  } catch (error) {
    throw new ConfigError(`Cannot start; HANDLERS must be a readable folder: ${(error as Error).message}`);
  }
}

function checkJobType(jobType: string): void {
  if ([...jobType].length > JOB.typeCharacters) {
    throw new Error(`its job type must be 1–${JOB.typeCharacters} characters, got ${[...jobType].length}`);
  }
  if (jobType.trim() === "") throw new Error("its job type must not be blank");
  for (const fault of nameFaults(jobType)) throw new Error(`its job type ${fault}`);
}
