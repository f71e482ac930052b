import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** One attempt as its handler wrote it down. */
export interface Run {
  jobId: string;
  attempt: number;
  pid: number;
  /** µs of the machine's monotonic clock. */
  startedAt: number;
  /** The same; null: its process was killed meanwhile. */
  endedAt: number | null;
  /** ms since 1970, as the database's clock; null: its process was killed meanwhile. */
  endedOn: number | null;
}

interface Line {
  kind: "start" | "end";
  jobId: string;
  attempt: number;
  pid: number;
  at: number;
  on: number;
}

/** Makes the folder of handlers, which write down when they begin and end. */
export async function writeHandlers(folder: string): Promise<string> {
  const handlers = join(folder, "handlers");
  await mkdir(handlers, { recursive: true });
  const journal = JSON.stringify(join(folder, "journal"));
  await writeFile(join(folder, "journal"), "");
  const handler = (body: string): string => `
    import { appendFileSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    const note = (kind, { jobId, attempt }) => appendFileSync(${journal}, JSON.stringify(
      { kind, jobId, attempt, pid: process.pid, at: Number(process.hrtime.bigint() / 1000n), on: Date.now() }) + "\\n");
    export default async function run(input, context) {
      note("start", context);
      try { ${body} } finally { note("end", context); }
    }`;
  const bodies = {
    QUICK: "return await sleep(5 + Math.random() * 20, 1, { signal: context.signal });",
    SLOW: "return await sleep(500 + Math.random() * 1500, 2, { signal: context.signal });",
    FLAKY: 'if (context.attempt === 1) throw new Error("the first time it fails"); return 3;',
    // Longer than a worker waits for a handler that ignores its signal, so that its result comes too late.
    STUBBORN: "return await sleep(7000, 4);",
  };
  for (const [type, body] of Object.entries(bodies)) await writeFile(join(handlers, `${type}.mjs`), handler(body));
  return handlers;
}

/** Every run of a handler, also of the same attempt twice, in the order that they began. */
export async function readJournal(folder: string): Promise<Run[]> {
  const runs: Run[] = [];
  const open = new Map<string, Run[]>();
  for (const text of (await readFile(join(folder, "journal"), "utf8")).split("\n")) {
    if (text === "") continue;
    const { kind, jobId, attempt, pid, at, on } = JSON.parse(text) as Line;
    const key = `${jobId} ${attempt} ${pid}`;
    if (kind === "start") {
      const run: Run = { jobId, attempt, pid, startedAt: at, endedAt: null, endedOn: null };
      runs.push(run);
      open.set(key, [...(open.get(key) ?? []), run]);
      continue;
    }
    const run = open.get(key)?.shift();
    if (run !== undefined) Object.assign(run, { endedAt: at, endedOn: on });
  }
  return runs;
}
