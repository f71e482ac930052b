import { defineEntity, p } from "@mikro-orm/postgresql";

/** What a member may do: read; also create and change jobs; also see all members' usage. */
export type MemberRole = "viewer" | "member" | "owner";

/** The seats, which set a member's jobs a day. */
export const SEATS = ["free_beta", "starter", "pro", "enterprise"] as const;
export type SeatType = (typeof SEATS)[number];

/** A user's membership of a tenant. */
export const TenantMemberEntity = defineEntity({
  name: "TenantMember",
  tableName: "tenant_members",
  properties: {
    tenantId: p.uuid().primary(),
    userId: p.uuid().primary(),
    role: p.text().$type<MemberRole>().default("member"),
    seat: p.text().$type<SeatType>().default("free_beta"),
    createdAt: p.datetime(3).defaultRaw("now()"),
  },
});
