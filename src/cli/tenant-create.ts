import { TenantService } from "../services/tenant-service.js";
import type { Command } from "./command.js";

export const tenantCreateCommand: Command = {
  name: "tenant create",
  about: "make a tenant, or rename the one with that id",
  options: {
    name: { value: "N", required: true, about: "1–200 characters" },
    id: { value: "UUID", about: "its id (a new one)" },
  },
  async run(options, context) {
    const database = await context.openDatabase();
    const tenant = await new TenantService(database).createTenant(options["name"] ?? "", options["id"] ?? null);
    return { text: tenant.id, json: tenant };
  },
};
