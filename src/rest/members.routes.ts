import { oneQueryValue } from "../http/query-values.js";
import { viewerOf } from "../http/sign-in.js";
import { PAGES } from "../limits/policies.js";
import type { Services } from "../services/services.js";
import { listMembers, type MemberItem } from "./members.contract.js";
import type { Route } from "./router.js";

/** The route for a tenant's members. */
export function createMembersRoutes({ services }: { services: Services }): Route[] {
  const list: Route = {
    contract: listMembers,
    async answer(request, response) {
      const viewer = viewerOf(response);
      const page = await services.members.list(viewer, { first: PAGES.rows, after: oneQueryValue(request, "after") });
      const items = page.items.map(({ userId, role, seatType, createdAt, dailyJobs }): MemberItem => ({
        userId,
        role,
        seatType,
        createdAt: createdAt.toJSON(),
        dailyJobs: { ...dailyJobs, resetsAt: dailyJobs.resetsAt.toJSON() },
      }));
      const nextCursor = page.hasNextPage ? (page.items.at(-1)?.cursor ?? null) : null;
      response.json({ ok: true, org_id: viewer.tenantId, items, nextCursor, ts: new Date() });
    },
  };
  return [list];
}
