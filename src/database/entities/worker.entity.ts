import { defineEntity, p } from "@mikro-orm/postgresql";

/** A worker process, alive as long as `seenAt` is recent. */
export const WorkerEntity = defineEntity({
  name: "Worker",
  tableName: "workers",
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    jobTypes: p.array(),
    startedAt: p.datetime(3).defaultRaw("now()"),
    seenAt: p.datetime(3).defaultRaw("now()"),
  },
});
