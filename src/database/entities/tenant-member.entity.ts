import { defineEntity, p } from "@mikro-orm/postgresql";
import type { MemberRole, SeatType } from "../../words.js";

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
