import { defineEntity, p } from "@mikro-orm/postgresql";

/** How many jobs a member has created on a day (UTC). */
export const DailyUsageEntity = defineEntity({
  name: "DailyUsage",
  tableName: "daily_usage",
  properties: {
    tenantId: p.uuid().primary(),
    userId: p.uuid().primary(),
    day: p.date().primary(),
    used: p.integer(),
  },
});
