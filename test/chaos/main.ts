import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? 1);
process.once("SIGINT", () => process.exit(130));

const { faults, findings, ...totals } = await runChaos({ seconds, seed });
console.table(Object.entries(faults).map(([fault, times]) => ({ fault, times })));
const { throughput, ...counts } = totals;
console.table([{ seed, seconds, ...counts, "jobs/s before": throughput.before, "jobs/s after": throughput.after }]);
console.table(findings.map(({ what, checked, wrong }) => ({ what, checked, wrong: wrong.length })));
for (const { what, wrong } of findings) for (const detail of wrong.slice(0, 5)) console.error(`${what}: ${detail}`);
process.exit(findings.every(({ wrong }) => wrong.length === 0) ? 0 : 1);
