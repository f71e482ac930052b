import { defineEntity, p } from "@mikro-orm/postgresql";

/** A change of a job's status: written by the database's triggers, never by a program. */
export const JobEventEntity = defineEntity({
  name: "JobEvent",
  tableName: "job_events",
  properties: {
    tenantId: p.uuid().primary(),
    jobId: p.uuid().primary(),
    version: p.integer().primary(),
    position: p.bigint("bigint"),
    id: p.bigint("bigint"),
    jobType: p.text(),
    previousStatus: p.text().nullable(),
    status: p.text().nullable(),
    attempt: p.integer(),
    workerId: p.uuid().nullable(),
    actor: p.text(),
    error: p.json().nullable(),
    occurredAt: p.datetime(3),
  },
});
