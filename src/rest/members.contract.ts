import { z } from "zod";
import { type RouteContract, SIGNED_IN_ERRORS } from "./contract.js";
import { instant } from "./job-representation.js";

/** A member as REST shows them to the tenant's owners. */
const memberItem = z.strictObject({
  userId: z.guid(),
  role: z.enum(["viewer", "member", "owner"]),
  seatType: z.enum(["free_beta", "starter", "pro", "enterprise"]),
  createdAt: instant,
  dailyJobs: z.strictObject({
    limit: z.int().nullable().describe("null: no limit."),
    used: z.int(),
    remaining: z.int().nullable().describe("null: no limit."),
    resetsAt: instant,
  }),
});
export type MemberItem = z.output<typeof memberItem>;

export const listMembers = {
  method: "get",
  path: "/v1/members",
  summary: "The tenant's members and what they have used of today, for its owners",
  legacy: false,
  query: z.object({ after: z.string().optional().describe("The nextCursor of the page before.") }),
  answers: {
    200: {
      description: "A page of members",
      mediaType: "application/json",
      body: z.strictObject({
        ok: z.literal(true),
        org_id: z.guid(),
        items: z.array(memberItem),
        nextCursor: z.string().nullable().describe("null: there are no more."),
        ts: instant,
      }),
      headers: [],
    },
  },
  errors: [...SIGNED_IN_ERRORS, "invalid_cursor"],
} as const satisfies RouteContract;
