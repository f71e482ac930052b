import { runChaos } from "./run.ts";

it("loses nothing, doubles nothing and skips nothing while processes are killed and PostgreSQL restarts and fails over", async () => {
  const report = await runChaos({
    seconds: 15,
    seed: 7,
    windowMs: 4_000,
    without: ["worker frozen", "PostgreSQL crashed"],
  });
  expect(report.findings.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
  // What has not been looked at cannot be wrong.
  expect(report.findings.filter(({ checked }) => checked === 0).map(({ what }) => what)).toEqual([]);
  expect(Object.keys(report.faults)).toHaveLength(7);
  expect(report.jobs).toBeGreaterThan(100);
  expect(report.resumed).toBeGreaterThan(20);
  expect(report.expired).toBeGreaterThan(10);
}, 240_000);
