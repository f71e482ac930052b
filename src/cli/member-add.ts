import { TenantService } from "../services/tenant-service.js";
import type { Command } from "./command.js";

export const memberAddCommand: Command = {
  name: "member add",
  about: "make a user a member of a tenant, or change the seat and role of one who is",
  options: {
    tenant: { value: "UUID", required: true, about: "the tenant" },
    user: { value: "UUID", required: true, about: "the user: the `sub` of their tokens" },
    seat: { value: "S", about: "free_beta, starter, pro or enterprise (the one they have, or free_beta)" },
    role: { value: "R", about: "viewer, member or owner (the one they have, or member)" },
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
