import type { TestApi } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { call } from "../rest/call.js";

const POOL_SIZE = 10;

/**
 * Checks that an API has come through whatever it was sent: its subscriptions are given back, every connection of its
 * pool is free for a good request, on both surfaces, and no prototype has been reached.
 */
export async function expectWhole(api: TestApi): Promise<void> {
  await until(() => api.tail.size === 0, { what: "the end of all subscriptions" });
  const member = await api.member();
  const created = await Promise.all(
    Array.from({ length: 2 * POOL_SIZE }, () => call(api, "POST", "/v1/jobs", member.headers, { jobType: "A" })),
  );
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await ask(api, member, "{ jobs { totalCount } }")).toEqual({ totalCount: 2 * POOL_SIZE });
  const held =
    "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
  await until(async () => (await asSuperuser(held, api.own.superuserUrl)).length === 0, { what: "the pool's rest" });
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype).toSorted()).toEqual(PROTOTYPE);
}

const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).toSorted();
