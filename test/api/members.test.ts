import { randomUUID } from "node:crypto";
import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask, send } from "../support/graphql.js";

const api = useApi();
const owner = useMember(api, { role: "owner", seat: "pro" });
const colleagues = Array.from({ length: 5 }, () => randomUUID()).toSorted((a, b) => (a < b ? -1 : 1));
beforeAll(async () => {
  await api.member({ role: "owner" });
  for (const userId of colleagues) {
    await asSuperuser(
      `insert into tenant_members (tenant_id, user_id, seat, role) values ('${owner.tenantId}', '${userId}', 'starter', 'viewer');
       insert into daily_usage (tenant_id, user_id, day, used) values
         ('${owner.tenantId}', '${userId}', (now() at time zone 'utc')::date, 7),
         ('${owner.tenantId}', '${userId}', (now() at time zone 'utc')::date - 1, 50)`,
      api.own.superuserUrl,
    );
  }
});

interface Page {
  nodes: { userId: string; role: string; seatType: string; dailyJobs: { limit: number; used: number; remaining: number } }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
} // prettier-ignore

const MEMBERS = `query ($first: Int, $after: String) { members(first: $first, after: $after) {
  nodes { userId role seatType createdAt dailyJobs { limit used remaining resetsAt } } pageInfo { hasNextPage endCursor } } }`;

describe("an owner", () => {
  it("sees every member of the tenant and what they have used of today, over GraphQL", async () => {
    await ask(api, owner, `mutation { createJob(input: {jobType: "A"}) { job { id } } }`);
    const { nodes } = await ask<Page>(api, owner, MEMBERS);
    expect(nodes.map(({ userId }) => userId)).toEqual([owner.userId, ...colleagues].toSorted((a, b) => (a < b ? -1 : 1))); // prettier-ignore
    const own = { role: "OWNER", seatType: "PRO", dailyJobs: { limit: 200, used: 1, remaining: 199 } };
    const theirs = { role: "VIEWER", seatType: "STARTER", dailyJobs: { limit: 50, used: 7, remaining: 43 } };
    for (const node of nodes) expect(node).toMatchObject(node.userId === owner.userId ? own : theirs);
  });

  it("pages through them", async () => {
    const seen: string[] = [];
    let after: string | null = null;
    for (let more = true; more;) {
      const { nodes, pageInfo }: Page = await ask<Page>(api, owner, MEMBERS, { first: 4, after });
      seen.push(...nodes.map(({ userId }) => userId));
      ({ hasNextPage: more, endCursor: after } = pageInfo);
    }
    expect(new Set(seen).size).toBe(6);
    expect(seen).toHaveLength(6);
  });

  it("sees them over REST", async () => {
    const response = await fetch(`${api.url}/v1/members`, { headers: owner.headers });
    const body = (await response.json()) as { items: { userId: string }[] };
    expect([response.status, body]).toEqual([
      200,
      { ok: true, org_id: owner.tenantId, items: expect.any(Array), nextCursor: null, ts: expect.any(String) },
    ]);
    expect(body.items.find(({ userId }) => userId === colleagues[0])).toEqual({
      userId: colleagues[0],
      role: "viewer",
      seatType: "starter",
      createdAt: expect.any(String),
      dailyJobs: { limit: 50, used: 7, remaining: 43, resetsAt: expect.any(String) },
    });
  });
});

it.each(["viewer", "member"] as const)("a %s does not see the members", async (role) => {
  const member = await api.member({ role });
  const { status, errors } = await send(api, MEMBERS, {}, member.headers);
  expect([status, errors?.[0]?.extensions["code"]]).toEqual([200, "FORBIDDEN"]);
  const response = await fetch(`${api.url}/v1/members`, { headers: member.headers });
  expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([
    403,
    "tenant_access_denied",
  ]);
  expect(await ask(api, member, "{ viewer { role } }")).toEqual({ role: role.toUpperCase() });
});
