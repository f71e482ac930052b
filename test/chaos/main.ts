import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? 1);
const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort()).once("SIGTERM", () => interrupted.abort());

const report = await runChaos({ seconds, seed, signal: interrupted.signal });
const { faults, findings, throughput, recoveredMs, foundMs, jobs, events, resumed, expired } = report;
const inSeconds = (ms: number): string => (Number.isFinite(ms) ? (ms / 1000).toFixed(1) : "–");
const median = (all: number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;
console.table(Object.entries(faults).map(([fault, times]) => ({ fault, times })));
console.table([
  {
    seed,
    seconds,
    jobs,
    events,
    resumed,
    expired,
    "jobs/s before": throughput.toFixed(1),
    "back to 95 % after, s": `${inSeconds(median(recoveredMs))}, at most ${inSeconds(Math.max(...recoveredMs))}`,
    "dead workers found, s": `${inSeconds(median(foundMs))}, at most ${inSeconds(Math.max(...foundMs))}`,
  },
]);
console.table(findings.map(({ what, checked, wrong }) => ({ what, checked, wrong: wrong.length })));
for (const { what, wrong } of findings) for (const detail of wrong.slice(0, 5)) console.error(`${what}: ${detail}`);
process.exit(findings.every(({ wrong }) => wrong.length === 0) ? 0 : 1);
