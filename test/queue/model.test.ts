import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { createTenant, useDatabase } from "../support/database.js";
import { act, type Model, type Real, WORKERS } from "./model.js";
import { COMMANDS, seen } from "./model-commands.js";

const RUNS = Number(process.env["MODEL_RUNS"] ?? 30);
const SEED = process.env["MODEL_SEED"];

const own = useDatabase();

const LEGAL: Record<string, (string | null)[]> = {
  created: ["queued"],
  queued: ["running", "canceled", null],
  running: ["completed", "failed", "canceled", "queued"],
  completed: [null],
  failed: ["queued", null],
  canceled: ["queued", null],
};

/** What must hold of a whole history, whatever the model thinks. */
async function checkHistory(model: Model, real: Real): Promise<void> {
  const events = await act(real, (tx) =>
    tx.query<{ job_id: string; version: number; previous_status: string | null; status: string | null }>(
      "select * from job_events where tenant_id = $1 order by job_id, version",
      [real.tenantId],
    ),
  );
  for (const [id, history] of Map.groupBy(events, (event) => event.job_id)) {
    expect(history.map(({ version }) => version)).toEqual(history.map((_, index) => index + 1));
    for (const [index, { previous_status: from, status: to }] of history.entries()) {
      expect(from).toBe(history[index - 1]?.status ?? null);
      expect(LEGAL[from ?? "created"]).toContain(to);
    }
    expect(history.at(-1)?.status ?? null).toBe(model.jobs.find((job) => job.id === id)?.status ?? null);
  }
  const [counts] = await act(real, (tx) =>
    tx.query(
      `select (select coalesce(sum(delta), 0)::int from job_counts where tenant_id = $1) as counted,
         (select count(*)::int from (
           select job_type, status, sum(delta) from job_counts where tenant_id = $1 group by 1, 2
           except select job_type, status, count(*) from jobs where tenant_id = $1 group by 1, 2
         ) wrong where sum <> 0) as wrong,
         (select coalesce(sum(used), 0)::int from daily_usage where tenant_id = $1) as used,
         (select count(*)::int from job_events where tenant_id = $1 and status is null) as deleted`,
      [real.tenantId],
    ),
  );
  expect(counts).toEqual({ counted: model.jobs.length, wrong: 0, used: model.created, deleted: model.deleted });
}

it("agrees with a simple model of itself, whatever happens in whatever order", async () => {
  const commands = fc.commands(COMMANDS, { maxCommands: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const { tenantId, userId } = await createTenant(own.database);
      const real: Real = { own, tenantId, userId, workerIds: Array.from({ length: WORKERS }, () => randomUUID()) };
      // Another run's jobs would be claimed and rescued too.
      await act(real, (tx) => tx.query("update jobs set status = 'canceled' where status = 'running'"));
      await act(real, (tx) => tx.query("delete from jobs"));
      const model: Model = { jobs: [], deleted: 0, created: 0, held: [], dead: new Set() };
      for (let worker = 0; worker < WORKERS; worker += 1) await seen(real, worker, "0");
      await fc.asyncModelRun(() => ({ model, real }), sequence);
      await checkHistory(model, real);
    }),
    { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) },
  );
});
