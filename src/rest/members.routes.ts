import { Router } from "express";
import type { Authenticator } from "../auth/authenticator.js";
import { PAGES } from "../limits/policies.js";
import type { DailyJobs } from "../services/seats.js";
import type { Services } from "../services/services.js";
import { onlyMethods } from "../http/only-methods.js";
import { checkQuery, oneQueryValue } from "../http/query-values.js";
import { signIn, viewerOf } from "../http/sign-in.js";

export interface MembersRoutesOptions {
  services: Services;
  authenticator: Authenticator;
}

/** A member as REST shows them to the tenant's owners. */
interface MemberItem {
  userId: string;
  role: "viewer" | "member" | "owner";
  seatType: "free_beta" | "starter" | "pro" | "enterprise";
  createdAt: Date;
  dailyJobs: DailyJobs;
}

/** The tenant's members and what they have used of today, for its owners. */
export function createMembersRoutes({ services, authenticator }: MembersRoutesOptions): Router {
  const router = Router();
  router
    .route("/v1/members")
    .get(signIn(authenticator), async (request, response) => {
      checkQuery(request, ["after"]);
      const viewer = viewerOf(response);
      const page = await services.members.list(viewer, { first: PAGES.rows, after: oneQueryValue(request, "after") });
      const items = page.items.map(({ cursor: _cursor, ...member }): MemberItem => member);
      const nextCursor = page.hasNextPage ? (page.items.at(-1)?.cursor ?? null) : null;
      response.json({ ok: true, org_id: viewer.tenantId, items, nextCursor, ts: new Date() });
    })
    .all(onlyMethods("GET, HEAD"));
  return router;
}
