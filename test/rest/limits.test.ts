import { startApi, type TestApi, type TestMember } from "../support/api.js";
import type { SeatType } from "../../src/words.js";
import { useDatabase, SYSTEM } from "../support/database.js";
import { type Answer, call, expectError } from "./call.js";

const own = useDatabase();
const serve = (createLimitPerMinute: number): Promise<TestApi> => startApi({ createLimitPerMinute }, own);

const create = (api: TestApi, { headers }: TestMember, body: unknown = { jobType: "TEST" }): Promise<Answer> =>
  call(api, "POST", "/v1/jobs", headers, body);

async function stored({ tenantId }: TestMember): Promise<number> {
  const [row] = await own.database.transaction(SYSTEM, (tx) =>
    tx.query<{ count: number }>("select count(*)::int as count from jobs where tenant_id = $1", [tenantId]),
  );
  return row?.count ?? 0;
}

const statuses = (answers: Answer[]): Record<string, number> =>
  Object.fromEntries(
    Object.entries(Object.groupBy(answers, ({ body }) => body.error ?? "created")).map(([name, group]) => [
      name,
      group?.length ?? 0,
    ]),
  );

describe("the minute's allowance", () => {
  it("says with each create what is left, and refuses the 31st", async () => {
    const api = await serve(30);
    const member = await api.member();
    const first = await create(api, member);
    const reset = Number(first.headers.get("ratelimit-reset"));
    expect(reset).toBeGreaterThan(0);
    expect(reset).toBeLessThanOrEqual(60);
    expect(Object.fromEntries([...first.headers].filter(([name]) => name.startsWith("ratelimit")))).toEqual({
      ratelimit: `"create";r=29;t=${reset}`,
      "ratelimit-policy": '"create";q=30;w=60',
      "ratelimit-limit": "30",
      "ratelimit-remaining": "29",
      "ratelimit-reset": String(reset),
    });
    for (let left = 28; left >= 0; left -= 1) {
      expect((await create(api, member)).headers.get("ratelimit-remaining")).toBe(String(left));
    }
    const refused = await create(api, member);
    expectError(refused, 429, "rate_limit_exceeded");
    expect(refused.headers.get("ratelimit-remaining")).toBe("0");
    expect(refused.headers.get("retry-after")).toBe(refused.headers.get("ratelimit-reset"));
    expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    expect(await stored(member)).toBe(30);
  });

  it("holds against 50 creates at once, over two servers on one database", async () => {
    const apis = [await serve(30), await serve(30)];
    const member = await apis[0]!.member();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => create(apis[index % 2]!, member)));
    expect(statuses(answers)).toEqual({ created: 30, rate_limit_exceeded: 20 });
    expect(await stored(member)).toBe(30);
  });

  it("is each member's own", async () => {
    const api = await serve(1);
    const [one, other] = [await api.member(), await api.member()];
    expect((await create(api, one)).status).toBe(200);
    expect((await create(api, other)).status).toBe(200);
    expectError(await create(api, one), 429, "rate_limit_exceeded");
  });

  it("costs nothing to reads, deletes, cancels and retries", async () => {
    const api = await serve(1);
    const member = await api.member();
    const id = (await create(api, member)).body.id ?? "";
    for (const [method, path] of [
      ["GET", "/v1/jobs/list"],
      ["POST", `/v1/jobs/${id}/cancel`],
      ["POST", `/v1/jobs/${id}/retry`],
      ["DELETE", `/v1/jobs/${id}`],
    ] as const) {
      expect((await call(api, method, path, member.headers)).status).toBe(200);
    }
  });

  it("costs nothing to creates sent again, also once it is used up and when they come at once", async () => {
    const api = await serve(2);
    const member = await api.member();
    const headers = { ...member.headers, "idempotency-key": "order-1" };
    const send = (jobType: string) => call(api, "POST", "/v1/jobs", headers, { jobType });
    const racing = await Promise.all([send("A"), send("A")]);
    expect(racing.filter(({ headers: answered }) => answered.has("idempotency-replayed"))).toHaveLength(1);
    const ids = new Set(racing.map(({ body }) => body.id));
    expect((await create(api, member)).headers.get("ratelimit-remaining")).toBe("0");
    expectError(await create(api, member), 429, "rate_limit_exceeded");
    for (let sent = 0; sent < 5; sent += 1) {
      const again = await send("A");
      expect([again.status, ids.has(again.body.id), again.headers.get("idempotency-replayed")]).toEqual([
        200,
        true,
        "true",
      ]);
      expect(again.headers.has("ratelimit")).toBe(false);
    }
    // Another input is no replay: it costs one like every well-formed create.
    expectError(await send("B"), 429, "rate_limit_exceeded");
    expect(await stored(member)).toBe(2);
  });

  it("is not spoken of when it is off", async () => {
    const api = await serve(0);
    const member = await api.member();
    const answers = await Promise.all(Array.from({ length: 35 }, () => create(api, member)));
    expect(statuses(answers)).toEqual({ created: 35 });
    expect(answers.some(({ headers }) => headers.has("ratelimit"))).toBe(false);
  });
});

describe("the seat's day", () => {
  it("ends with the limit, and comes back at midnight UTC", async () => {
    const api = await serve(30);
    const member = await api.member({ seat: "free_beta" });
    for (let count = 0; count < 10; count += 1) expect((await create(api, member)).status).toBe(200);
    const refused = await create(api, member);
    expectError(refused, 429, "daily_job_limit_exceeded");
    const now = new Date();
    const untilMidnight = (Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1) - +now) / 1000;
    expect(Math.abs(Number(refused.headers.get("retry-after")) - untilMidnight)).toBeLessThan(5);
    // Well-formed, so it cost one of the minute.
    expect(refused.headers.get("ratelimit-remaining")).toBe("19");
    expect(await stored(member)).toBe(10);
  });

  it.each<[SeatType, number]>([
    ["free_beta", 10],
    ["starter", 50],
  ])("of %s is never passed by creates at once", async (seat, limit) => {
    const apis = [await serve(0), await serve(0)];
    const member = await apis[0]!.member({ seat });
    const answers = await Promise.all(Array.from({ length: limit + 20 }, (_, i) => create(apis[i % 2]!, member)));
    expect(statuses(answers)).toEqual({ created: limit, daily_job_limit_exceeded: 20 });
    expect(await stored(member)).toBe(limit);
  });

  it("gets nothing back from a delete, and loses nothing to a retry", async () => {
    const api = await serve(0);
    const member = await api.member({ seat: "free_beta" });
    const ids: string[] = [];
    for (let count = 0; count < 10; count += 1) ids.push((await create(api, member)).body.id ?? "");
    for (const change of ["cancel", "retry"]) {
      expect((await call(api, "POST", `/v1/jobs/${ids[0]}/${change}`, member.headers)).status).toBe(200);
    }
    expect((await call(api, "DELETE", `/v1/jobs/${ids[1]}`, member.headers)).status).toBe(200);
    expectError(await create(api, member), 429, "daily_job_limit_exceeded");
  });
});
