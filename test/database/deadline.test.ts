import { createTenant, useDatabase } from "../support/database.js";

const own = useDatabase();
let tenantId: string;
beforeAll(async () => {
  ({ tenantId } = await createTenant(own.database));
});

const act = (deadlineAt: number | undefined, sql: string) =>
  own.database.transaction(
    { role: "api", tenantId, actor: "user:me", ...(deadlineAt !== undefined && { deadlineAt }) },
    (tx) => tx.query(sql),
  );

describe("a request's deadline", () => {
  it("cancels the statement that is under way then", async () => {
    await expect(act(performance.now() + 200, "select pg_sleep(30)")).rejects.toMatchObject({
      code: "unavailable",
      retryAfterSeconds: 2,
    });
  });

  it("keeps later statements from beginning", async () => {
    await expect(act(performance.now() - 1, "select 1")).rejects.toMatchObject({ code: "unavailable" });
  });

  it("leaves alone what ends before it, and what has none", async () => {
    expect(await act(performance.now() + 60_000, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await act(undefined, "select 1 as one")).toEqual([{ one: 1 }]);
  });
});
