import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** One attempt as its handler wrote it down; times in µs of the machine's monotonic clock. */
export interface Run {
  jobId: string;
  attempt: number;
  pid: number;
  startedAt: number;
  /** null: its process was killed meanwhile. */
  endedAt: number | null;
}

/** Makes the folder of handlers, which write down when they begin and end. */
export async function writeHandlers(folder: string): Promise<string> {
  const handlers = join(folder, "handlers");
  await mkdir(handlers, { recursive: true });
  const journal = JSON.stringify(join(folder, "journal"));
  await writeFile(join(folder, "journal"), "", { mode: 0o666 });
  const handler = (body: string): string => `
    import { appendFileSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    const note = (kind, { jobId, attempt }) => appendFileSync(${journal}, JSON.stringify(
      { kind, jobId, attempt, pid: process.pid, at: Number(process.hrtime.bigint() / 1000n) }) + "\\n");
    export default async function run(input, context) {
      note("start", context);
      try { ${body} } finally { note("end", context); }
    }`;
  const bodies = {
    QUICK: "return await sleep(5 + Math.random() * 20, 1, { signal: context.signal });",
    SLOW: "return await sleep(500 + Math.random() * 1500, 2, { signal: context.signal });",
    FLAKY: 'if (context.attempt === 1) throw new Error("the first time it fails"); return 3;',
    STUBBORN: "return await sleep(2000, 4);",
  };
  for (const [type, body] of Object.entries(bodies)) await writeFile(join(handlers, `${type}.mjs`), handler(body));
  return handlers;
}

export async function readJournal(folder: string): Promise<Run[]> {
  const runs = new Map<string, Run>();
  for (const line of (await readFile(join(folder, "journal"), "utf8")).split("\n")) {
    if (line === "") continue;
    const { kind, jobId, attempt, pid, at } = JSON.parse(line) as {
      kind: "start" | "end";
      jobId: string;
      attempt: number;
      pid: number;
      at: number;
    };
    const key = `${jobId} ${attempt} ${pid}`;
    const begun = runs.get(key);
    if (kind === "start") runs.set(key, { jobId, attempt, pid, startedAt: at, endedAt: null });
    else if (begun !== undefined) begun.endedAt = at;
  }
  return [...runs.values()];
}
