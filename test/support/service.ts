import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { issueToken } from "../../src/auth/issue-token.js";
import { headersFor, type TestMember } from "./api.js";
import { createTenant, type TestDatabase } from "./database.js";
import { inheritedVariables } from "./inherited-variables.js";

const READY_BOUND_MS = 20_000;
/** What every service of a test verifies tokens with. */
const SECRET = randomUUID();

/** The compiled service in a process of its own. */
export interface Service {
  url: string;
  wsUrl: string;
  child: ChildProcess;
  /** Everything it has written so far. */
  output(): string;
  /** Sends a signal and waits for the end. @returns the exit code; null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the compiled service. Its environment is these variables and nothing else.
 * @param compiled the folder that of the code; another version's, for one.
 */
export function spawnService(
  variables: Record<string, string>,
  compiled = "dist",
): Pick<Service, "output"> & { child: ChildProcessByStdio<null, Readable, Readable> } {
  const child = spawn(process.execPath, [`${compiled}/main.js`], {
    env: { ...inheritedVariables(), PORT: "0", JWT_SECRET: SECRET, LOG_LEVEL: "info", ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  }
  return { child, output: () => output };
}

/** Starts the compiled service as `spawnService` does, and waits until it is ready. */
export async function startService(variables: Record<string, string>, compiled = "dist"): Promise<Service> {
  const { child, output } = spawnService(variables, compiled);
  const ready = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", () => {
      const url = /"url":"(http[^"]+)".*"msg":"ready"/.exec(output())?.[1];
      if (url !== undefined) ready.resolve(url);
    });
  }
  child.once("exit", (code) => ready.reject(new Error(`the service ended with ${code}:\n${output()}`)));
  const timer = setTimeout(() => ready.reject(new Error(`the service is not ready:\n${output()}`)), READY_BOUND_MS);
  const url = await ready.promise.finally(() => clearTimeout(timer));
  return {
    url,
    wsUrl: `${url.replace("http", "ws")}/graphql`,
    child,
    output,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const ended = once(child, "exit") as Promise<[number | null]>;
      child.kill(signal);
      return (await ended)[0];
    },
  };
}

/** A new tenant's member, with a token that the services accept. */
export async function serviceMember({ database }: Pick<TestDatabase, "database">): Promise<TestMember> {
  const { tenantId, userId } = await createTenant(database);
  const token = serviceToken(userId, 3600);
  return { tenantId, userId, token, headers: headersFor(token, tenantId) };
}

/** A token that the services accept. */
export function serviceToken(userId: string, expiresInSeconds: number): string {
  return issueToken(
    { key: { kind: "secret", secret: SECRET }, issuer: null, audience: null },
    userId,
    expiresInSeconds,
  );
}
