import { pino } from "pino";
import { useRig } from "./rig.js";
import { until } from "../support/until.js";

const rig = useRig({ per: "test" });

it("a worker says once which job types wait for a handler, and how many jobs", async () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
  await rig.enqueueAll([{ jobType: "NOBODYS", input: { secret: 1 } }, { jobType: "NOBODYS" }, { jobType: "ANOTHERS" }]);
  // Both claim nothing, and one handles what the other does not.
  rig.work({ ANOTHERS: () => null }, { concurrency: 0 });
  rig.work({ MINE: () => null }, { log, intervals: { unhandledMs: 50 } });
  const told = () => lines.filter(({ msg }) => String(msg).startsWith("no worker handles"));
  await until(() => told().length > 0);
  // Told of later than NOBODYS would be told again.
  await rig.enqueueAll([{ jobType: "NOBODYS_EITHER" }]);
  await until(() => told().some(({ jobType }) => jobType === "NOBODYS_EITHER"));
  expect(told()).toMatchObject([
    { level: 40, jobType: "NOBODYS", queued: 2 },
    { jobType: "NOBODYS_EITHER", queued: 1 },
  ]);
  expect(JSON.stringify(lines)).not.toContain("secret");
});
