import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? 1);
const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort()).once("SIGTERM", () => interrupted.abort());

const report = await runChaos({ seconds, seed, signal: interrupted.signal });
const { faults, findings, throughput, foundMs, jobs, events, resumed } = report;
console.table(Object.entries(faults).map(([fault, times]) => ({ fault, times })));
console.table([
  {
    seed,
    seconds,
    jobs,
    events,
    resumed,
    "jobs/s before": throughput.before.toFixed(1),
    "jobs/s after each fault": throughput.after.toFixed(1),
    "dead workers found, s": foundMs.map((ms) => (ms / 1000).toFixed(1)).join(" "),
  },
]);
console.table(findings.map(({ what, checked, wrong }) => ({ what, checked, wrong: wrong.length })));
for (const { what, wrong } of findings) for (const detail of wrong.slice(0, 5)) console.error(`${what}: ${detail}`);
process.exit(findings.every(({ wrong }) => wrong.length === 0) ? 0 : 1);
