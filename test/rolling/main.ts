import { parseArgs } from "node:util";
import { startDebianPostgresql } from "../support/debian-postgresql.ts";
import { prepareDatabase, runRollingRestart } from "./run.ts";

const { values } = parseArgs({ options: { rounds: { type: "string" }, creates: { type: "string" } } });
const server = await startDebianPostgresql();
const addresses = await prepareDatabase(server.superuserUrl);
const report = await runRollingRestart({
  ...addresses,
  rounds: Number(values.rounds ?? 5),
  createsPerSecond: Number(values.creates ?? 20),
});
await server.remove();

const { sent, accepted, restarts, failed, unfinished, missed } = report;
console.table([{ sent, accepted, restarts, failed: failed.length, unfinished: unfinished.length }]);
console.table(Object.entries(missed).map(([watcher, events]) => ({ watcher, missed: events.length })));
for (const detail of [...failed, ...unfinished, ...Object.values(missed).flat()].slice(0, 20)) console.error(detail);
process.exit([...failed, ...unfinished, ...Object.values(missed).flat()].length === 0 ? 0 : 1);
