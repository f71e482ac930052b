import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../support/until.ts";

/** One of the service's processes, which can be killed and started again on its port. */
export interface Member {
  name: string;
  url: string;
  pid: number;
  /** null for an API process. */
  workerId: string | null;
  /** Whether it runs. */
  alive: boolean;
  kill(signal: NodeJS.Signals): Promise<number | null>;
  start(): Promise<void>;
}

/** Process ends that nobody asked for. */
export const unexpectedEnds: string[] = [];

/** Starts `dist/main.js` with these variables and nothing else, and waits until it is ready. */
export async function startMember(
  name: string,
  folder: string,
  variables: Record<string, string>,
  port = 0,
): Promise<Member> {
  let child: ChildProcess;
  const member: Member = {
    name,
    url: "",
    pid: 0,
    workerId: null,
    alive: false,
    async kill(signal) {
      member.alive = false;
      const ended = once(child, "exit") as Promise<[number | null]>;
      child.kill(signal);
      return (await ended)[0];
    },
    async start() {
      const usedPort = member.url === "" ? port : Number(new URL(member.url).port);
      child = spawn(process.execPath, ["dist/main.js"], {
        env: { PATH: process.env["PATH"] ?? "", PORT: String(usedPort), ...variables },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const own = child;
      let output = "";
      for (const stream of [own.stdout, own.stderr]) {
        stream?.setEncoding("utf8").on("data", (chunk: string) => {
          output = `${output}${chunk}`.slice(-20_000);
          void appendFile(join(folder, `${name}.log`), chunk).catch(() => undefined);
        });
      }
      own.once("exit", (code, signal) => {
        if (member.alive) unexpectedEnds.push(`${name} ended by itself (${code ?? signal}): ${output.slice(-500)}`);
        member.alive = false;
      });
      const ready = await until(
        () => /"url":"(http[^"]+)"(?:.*"workerId":"([^"]+)")?.*"msg":"ready"/.exec(output) ?? own.exitCode !== null,
        { boundMs: 60_000, what: `${name} is ready` },
      );
      if (ready === true) throw new Error(`${name} did not start:\n${output}`);
      member.url = ready[1] ?? "";
      member.workerId = ready[2] ?? null;
      member.pid = own.pid ?? 0;
      member.alive = true;
    },
  };
  await member.start();
  return member;
}
