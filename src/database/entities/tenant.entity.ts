import { defineEntity, p } from "@mikro-orm/postgresql";

/** A customer of the service, who owns jobs that no other tenant sees. */
export const TenantEntity = defineEntity({
  name: "Tenant",
  tableName: "tenants",
  properties: {
    id: p.uuid().primary().defaultRaw("gen_random_uuid()"),
    name: p.text(),
    createdAt: p.datetime(3).defaultRaw("now()"),
  },
});
