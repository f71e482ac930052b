import { defineEntity, p } from "@mikro-orm/postgresql";

/** A change of how many jobs a tenant has of a type and status; their sum is the count. */
export const JobCountEntity = defineEntity({
  name: "JobCount",
  tableName: "job_counts",
  properties: {
    id: p.bigint("bigint").primary().autoincrement(),
    tenantId: p.uuid(),
    jobType: p.text(),
    status: p.text(),
    delta: p.bigint("bigint"),
  },
});
