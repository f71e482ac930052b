import { randomUUID } from "node:crypto";
import { claim } from "../../src/queue/claim.js";
import type { HeldJob } from "../../src/queue/held-job.js";
import { type Settlement, Settler } from "../../src/worker/settler.js";
import { asSuperuser, SYSTEM } from "../support/database.js";
import { useRig } from "./rig.js";

const rig = useRig({ per: "test" });
let workerId: string;
let settler: Settler;
beforeEach(() => {
  workerId = randomUUID();
  settler = new Settler({ database: rig.database, hints: rig.hints, workerId });
});

async function hold(count: number): Promise<HeldJob[]> {
  await rig.enqueueAll(Array.from({ length: count }, () => ({ jobType: "A" })));
  const { jobs } = await rig.database.transaction(SYSTEM, (tx) =>
    claim(tx, { workerId, jobTypes: ["A"], limit: count }),
  );
  return jobs.map(({ tenantId, id, attempt }) => ({ tenantId, id, workerId, attempt }));
}

const done = (output: unknown): Settlement => ({ kind: "completed", output });

/** In how many transactions these jobs last changed: all changes of one have its position. */
async function transactionsOf(held: readonly HeldJob[]): Promise<number> {
  const [row] = await rig.rows<{ count: number }>(
    "select count(distinct position)::int as count from jobs where id = any($1)",
    [held.map(({ id }) => id)],
  );
  return row?.count ?? 0;
}

describe("the settlement", () => {
  it("writes at once what ends alone, and together what ends meanwhile, each of its kind", async () => {
    const held = await hold(60);
    const failure = { code: "broken", message: "It broke", permanent: true, retryDelayMs: 0, stack: "at x" };
    const kinds: Settlement[] = [done({ n: 1n, at: [null] }), { kind: "failed", failure }, { kind: "released" }];
    const statuses = await Promise.all(held.map((job, n) => settler.settle(job, kinds[n % 3]!)));
    expect(statuses).toEqual(held.map((_, n) => ["completed", "failed", "queued"][n % 3]));
    expect(await transactionsOf(held.slice(0, 1))).toBe(1);
    expect(await transactionsOf(held)).toBe(2);
    const [completed, failed, released] = await Promise.all(held.slice(0, 3).map(({ id }) => rig.job(id)));
    expect(completed).toMatchObject({ output: { n: 1, at: [null] }, error: null });
    expect(failed).toMatchObject({ output: null, error: { code: "broken", message: "It broke", attempt: 1 } });
    expect(released).toMatchObject({ error: null, maxAttempts: 5 });
  });

  it.each(["22P05", "P0001", "23514"])(
    "fails one end that PostgreSQL refuses with %s, and writes the others of the group",
    async (code) => {
      await asSuperuser(
        `create function refuse_secrets() returns trigger language plpgsql as $$
       begin
         if new.output = '"secret"' then raise exception 'no secrets' using errcode = '${code}'; end if;
         return new;
       end $$;
       create trigger refuse_secrets before update on jobs for each row execute function refuse_secrets()`,
        rig.superuserUrl,
      );
      const held = await hold(10);
      const ends = await Promise.allSettled(held.map((job, n) => settler.settle(job, done(n === 5 ? "secret" : n))));
      expect(ends.flatMap((end) => (end.status === "fulfilled" ? end.value : []))).toEqual(Array(9).fill("completed"));
      expect(ends[5]).toMatchObject({ status: "rejected", reason: { code } });
      expect((await rig.job(held[5]!.id)).status).toBe("running");
    },
  );

  it("refuses what the worker has lost, and writes the others of the group", async () => {
    const held = await hold(6);
    const [first, second, third] = held as [HeldJob, HeldJob, HeldJob];
    // Rescued meanwhile, and claimed by another.
    await rig.rows("update jobs set status = 'queued' where id = $1", [first.id]);
    await rig.database.transaction(SYSTEM, (tx) => claim(tx, { workerId: randomUUID(), jobTypes: ["A"], limit: 1 }));
    // And by this one again: both attempts end together.
    await rig.rows("update jobs set status = 'queued' where id = $1", [second.id]);
    await rig.database.transaction(SYSTEM, (tx) => claim(tx, { workerId, jobTypes: ["A"], limit: 1 }));
    const again = { ...second, attempt: 2 };
    const all = [third, first, second, again, ...held.slice(3)];
    const statuses = await Promise.all(all.map((job, n) => settler.settle(job, done(n))));
    expect(statuses).toEqual(["completed", null, null, "completed", "completed", "completed", "completed"]);
    expect(await rig.job(first.id)).toMatchObject({ status: "running", attempt: 2 });
    expect(await rig.job(second.id)).toMatchObject({ status: "completed", output: 3 });
  });

  it("writes no more than 8 MiB of outputs in one transaction", async () => {
    const held = await hold(20);
    const output = "x".repeat(1024 * 1024 - 2);
    const statuses = await Promise.all(held.map((job) => settler.settle(job, done(output))));
    expect(new Set(statuses)).toEqual(new Set(["completed"]));
    const sizes = await rig.rows<{ count: number }>(
      "select count(*)::int as count from jobs where id = any($1) group by position order by position",
      [held.map(({ id }) => id)],
    );
    // Of those that wait, the first is no longer alone in its group.
    expect(sizes.map(({ count }) => count)).toEqual([1, 8, 8, 3]);
  });

  it("writes the others although somebody has locked one job, and that one once it is free", async () => {
    const held = await hold(10);
    const ends = await rig.database.transaction(SYSTEM, async (tx) => {
      await tx.query("select from jobs where id = $1 for update", [held[4]?.id]);
      const settled = held.map((job, n) => settler.settle(job, done(n)));
      expect(await Promise.all(settled.toSpliced(4, 1))).toEqual(Array(9).fill("completed"));
      // Nor does it hold up what ends later.
      const [later] = await hold(1);
      expect(await settler.settle(later!, { kind: "released" })).toBe("queued");
      return settled;
    });
    expect(await ends[4]).toBe("completed");
  });

  it("tells each end of a group that the database is away", async () => {
    const held = await hold(5);
    const name = new URL(rig.url).pathname.slice(1);
    await asSuperuser(`alter database ${name} allow_connections false`);
    await asSuperuser(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const ends = await Promise.allSettled(held.map((job) => settler.settle(job, { kind: "released" })));
    expect(ends.map(({ status }) => status)).toEqual(held.map(() => "rejected"));
  });
});
