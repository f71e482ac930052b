import { TenantService } from "../services/tenant-service.js";
import type { Command } from "./command.js";

export const memberRemoveCommand: Command = {
  name: "member remove",
  about: "end a user's membership of a tenant",
  options: {
    tenant: { value: "UUID", required: true, about: "the tenant" },
    user: { value: "UUID", required: true, about: "the user" },
  },
  async run(options, context) {
    const database = await context.openDatabase();
    const { tenant = "", user = "" } = options;
    await new TenantService(database).removeMember(tenant, user);
    return { text: `${user} is no longer a member of ${tenant}`, json: { tenantId: tenant, userId: user } };
  },
};
