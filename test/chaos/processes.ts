import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { inheritedVariables } from "../support/inherited-variables.ts";
import { until } from "../support/until.ts";
import { lowPort } from "../support/low-port.ts";
import { within } from "../support/within.ts";

/** One of the service's processes, which can be killed and started again on its port. */
export interface Member {
  name: string;
  url: string;
  pid: number;
  /** null for an API process. */
  workerId: string | null;
  /** Ends that nobody asked for, and what it said last. */
  unexpected: string[];
  /** Ends it, if it runs. @returns its exit code; null when the signal ended it. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
  start(): Promise<void>;
}

const END_BOUND_MS = 60_000;
const READY_BOUND_MS = 60_000;
const KEPT_OUTPUT = 20_000;

/** A process of `dist/main.js` with these variables and nothing else; `start` resolves when it is ready. */
export function createMember(name: string, variables: Record<string, string>): Member {
  const port = lowPort();
  let child: ChildProcess | null = null;
  let asked = false;
  const member: Member = {
    name,
    url: `http://127.0.0.1:${port}`,
    pid: 0,
    workerId: null,
    unexpected: [],
    async kill(signal) {
      const own = child;
      if (own === null || own.exitCode !== null || own.signalCode !== null) return own?.exitCode ?? null;
      asked = true;
      const ended = once(own, "exit") as Promise<[number | null]>;
      own.kill(signal);
      return (await within(END_BOUND_MS, ended, `the end of ${name}`))[0];
    },
    async start() {
      const own = spawn(process.execPath, ["dist/main.js"], {
        env: { ...inheritedVariables(), PORT: String(port), ...variables },
        stdio: ["ignore", "pipe", "pipe"],
      });
      child = own;
      asked = false;
      member.pid = own.pid ?? 0;
      let output = "";
      for (const stream of [own.stdout, own.stderr]) {
        stream.setEncoding("utf8").on("data", (chunk: string) => (output = `${output}${chunk}`.slice(-KEPT_OUTPUT)));
      }
      own.once("exit", (code, signal) => {
        if (!asked) member.unexpected.push(`${name} ended (${code ?? signal}): ${output.slice(-500)}`);
      });
      const ready = await until(() => /^\{.*"msg":"ready".*\}$/m.exec(output)?.[0] ?? own.exitCode !== null, {
        boundMs: READY_BOUND_MS,
        what: `${name} is ready`,
      });
      if (ready === true) throw new Error(`${name} did not start:\n${output}`);
      member.workerId = (JSON.parse(ready) as { workerId?: string }).workerId ?? null;
    },
  };
  return member;
}
