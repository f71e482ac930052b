import { randomUUID } from "node:crypto";
import { JOB_STATUSES } from "../../src/words.js";
import { asSuperuser, createTenant, useDatabase, SYSTEM } from "../support/database.js";

const LEGAL = [
  "queued>running",
  "queued>canceled",
  "running>completed",
  "running>failed",
  "running>canceled",
  "running>queued",
  "failed>queued",
  "canceled>queued",
];
const WAYS: Record<string, string[]> = {
  queued: [],
  running: ["running"],
  completed: ["running", "completed"],
  failed: ["running", "failed"],
  canceled: ["canceled"],
};

const own = useDatabase();
let tenantId: string;
beforeAll(async () => {
  ({ tenantId } = await createTenant(own.database));
});

const run = <Row>(sql: string, values: unknown[] = []): Promise<Row[]> =>
  own.database.transaction(SYSTEM, (tx) => tx.query<Row>(sql, values));

async function enter(id: string, status: string): Promise<unknown> {
  return run(
    `update jobs set status = $2, worker_id = case when $2 = 'running' then gen_random_uuid() end,
       started_at = now(), attempt = attempt + (case when $2 = 'running' then 1 else 0 end) where id = $1`,
    [id, status],
  );
}

async function jobIn(status: string): Promise<string> {
  const [row] = await run<{ id: string }>("insert into jobs (tenant_id, job_type) values ($1, 'A') returning id", [
    tenantId,
  ]);
  for (const step of WAYS[status] ?? []) await enter(row!.id, step);
  return row!.id;
}

describe("the database", () => {
  it("gives all that a transaction changes its one position, whatever was set before, and after a savepoint too", async () => {
    const positions = () =>
      own.database.transaction(SYSTEM, async (tx) => {
        const insert = () =>
          tx.query<{ id: string; position: string }>(
            "insert into jobs (tenant_id, job_type) select $1, 'A' from generate_series(1, 3) returning id, position",
            [tenantId],
          );
        // Of another transaction.
        await tx.query("select set_config('atlas.position', '1:7', true)");
        const jobs = await insert();
        await tx.query("savepoint s");
        await insert();
        await tx.query("rollback to s");
        const [removed] = await insert();
        await tx.query("delete from jobs where id = $1", [removed?.id]);
        await tx.query("update jobs set status = 'canceled' where id = $1", [jobs[0]?.id]);
        const [current] = await tx.query<{ position: string }>("select current_position() as position");
        const events = await tx.query<{ position: string }>(
          "select position from job_events where job_id = any($1) or previous_status is not null and status is null and job_id = $2",
          [jobs.map(({ id }) => id), removed?.id],
        );
        return { position: current?.position, found: [...jobs, ...events].map(({ position }) => position) };
      });
    const [first, second] = [await positions(), await positions()];
    for (const { position, found } of [first, second]) {
      expect(found).toHaveLength(8);
      expect(new Set(found)).toEqual(new Set([position]));
    }
    expect(first.position).not.toBe(second.position);
  });

  it.each(JOB_STATUSES.flatMap((from) => JOB_STATUSES.filter((to) => to !== from).map((to) => [from, to] as const)))(
    "lets a job go from %s to %s only if the diagram does",
    async (from, to) => {
      const id = await jobIn(from);
      const outcome = await enter(id, to).then(
        () => "it goes",
        (error: Error) => error.message,
      );
      const legal = LEGAL.includes(`${from}>${to}`);
      expect(outcome).toContain(legal ? "it goes" : `cannot go from ${from} to ${to}`);
    },
  );

  it("refuses to delete a running job, and to truncate", async () => {
    const id = await jobIn("running");
    await expect(run("delete from jobs where id = $1", [id])).rejects.toThrow("is running and cannot be deleted");
    await expect(asSuperuser("truncate jobs", own.superuserUrl)).rejects.toThrow("cannot be truncated");
  });

  it.each([
    [
      "a job that starts as completed",
      "insert into jobs (tenant_id, job_type, status) values ($1, 'A', 'completed')",
      "must start as queued",
    ],
    [
      "an unknown status",
      "insert into jobs (tenant_id, job_type, status) values ($1, 'A', 'odd')",
      "must start as queued",
    ],
    [
      "an input that is no object",
      "insert into jobs (tenant_id, job_type, input) values ($1, 'A', '[]')",
      "jobs_input_check",
    ],
    ["an empty job type", "insert into jobs (tenant_id, job_type) values ($1, '')", "jobs_job_type_check"],
    [
      "no attempts",
      "insert into jobs (tenant_id, job_type, max_attempts) values ($1, 'A', 0)",
      "jobs_max_attempts_check",
    ],
    [
      "an attempt past the last",
      "update jobs set attempt = max_attempts + 1 where tenant_id = $1",
      "jobs_attempt_check",
    ],
    [
      "an output of a job that is not completed",
      "update jobs set output = '1' where tenant_id = $1 and status = 'queued'",
      "jobs_output_check",
    ],
    ["another id", "update jobs set id = gen_random_uuid() where tenant_id = $1", "cannot change"],
  ])("refuses %s", async (_what, sql, message) => {
    await jobIn("queued");
    await expect(run(sql, [tenantId])).rejects.toThrow(message);
  });

  it("never lets attempt shrink", async () => {
    const id = await jobIn("failed");
    await expect(run("update jobs set attempt = 0 where id = $1", [id])).rejects.toThrow("cannot shrink");
  });

  it("appends an event for each change of status, whoever makes it, versions without a hole", async () => {
    const id = await jobIn("queued");
    for (const status of ["running", "queued", "running", "failed", "queued"]) await enter(id, status);
    await asSuperuser(`update jobs set priority = 7 where id = '${id}'`, own.superuserUrl);
    await asSuperuser(`delete from jobs where id = '${id}'`, own.superuserUrl);
    const events = await run<{ version: number }>(
      "select version, previous_status as was, status as is, actor from job_events where job_id = $1 order by position, id",
      [id],
    );
    const system = { actor: "system" };
    expect(events).toEqual([
      { version: 1, was: null, is: "queued", ...system },
      { version: 2, was: "queued", is: "running", ...system },
      { version: 3, was: "running", is: "queued", ...system },
      { version: 4, was: "queued", is: "running", ...system },
      { version: 5, was: "running", is: "failed", ...system },
      { version: 6, was: "failed", is: "queued", ...system },
      { version: 7, was: "queued", is: null, actor: "database:postgres" },
    ]);
  });

  it("appends no event when the transaction is rolled back", async () => {
    const id = randomUUID();
    await expect(
      own.database.transaction(SYSTEM, async (tx) => {
        await tx.query("insert into jobs (tenant_id, id, job_type) values ($1, $2, 'A')", [tenantId, id]);
        throw new Error("changed my mind");
      }),
    ).rejects.toThrow("changed my mind");
    expect(await run("select 1 from job_events where job_id = $1", [id])).toEqual([]);
  });

  it("counts jobs exactly by type and status, in statements of many rows too", async () => {
    await run("insert into jobs (tenant_id, job_type) select $1, 'MANY' from generate_series(1, 700)", [tenantId]);
    await run(
      "update jobs set status = 'canceled' where job_type = 'MANY' and id < 'a0000000-0000-0000-0000-000000000000'",
    );
    await run("delete from jobs where job_type = 'MANY' and id < '20000000-0000-0000-0000-000000000000'");
    const counted = "select job_type, status, count(*)::int as n from jobs group by 1, 2 order by 1, 2";
    const kept =
      "select job_type, status, sum(delta)::int as n from job_counts group by 1, 2 having sum(delta) <> 0 order by 1, 2";
    expect(await run(kept)).toEqual(await run(counted));
  });
});
