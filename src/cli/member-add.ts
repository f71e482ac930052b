import { TenantService } from "../services/tenant-service.js";
import { MEMBER_ROLES, SEATS } from "../words.js";
import type { Command } from "./command.js";

const oneOf = (words: readonly string[]): string => new Intl.ListFormat("en-GB", { type: "disjunction" }).format(words);

export const memberAddCommand: Command = {
  name: "member add",
  about: "make a user a member of a tenant, or change the seat and role of one who is",
  options: {
    tenant: { value: "UUID", required: true, about: "the tenant" },
    user: { value: "UUID", required: true, about: "the user: the `sub` of their tokens" },
    seat: { value: "S", about: `${oneOf(SEATS)} (the one they have, or free_beta)` },
    role: { value: "R", about: `${oneOf(MEMBER_ROLES)} (the one they have, or member)` },
  },
  async run(options, context) {
    const database = await context.openDatabase();
    const { tenant = "", user = "", seat = null, role = null } = options;
    const member = await new TenantService(database).addMember(tenant, user, seat, role);
    return {
      text: `${member.userId} is ${member.role} of ${member.tenantId} with a ${member.seat} seat`,
      json: member,
    };
  },
};
