import { defineEntity, p } from "@mikro-orm/postgresql";

/** A job, as it stands now. Columns that no request reads are for the transitions in `queue/`. */
export const JobEntity = defineEntity({
  name: "Job",
  tableName: "jobs",
  properties: {
    tenantId: p.uuid().primary(),
    id: p.uuid().primary().defaultRaw("gen_random_uuid()"),
    jobType: p.text(),
    status: p.text().default("queued"),
    priority: p.integer().default(0),
    input: p.json().default("{}"),
    output: p.json().nullable(),
    error: p.json().nullable(),
    attempt: p.integer().default(0),
    maxAttempts: p.integer().default(4),
    runAt: p.datetime(3).defaultRaw("date_trunc('milliseconds', now())"),
    due: p.boolean().default(false),
    timeoutMs: p.integer().nullable(),
    cancelRequestedAt: p.datetime(3).nullable(),
    checkpoint: p.json().nullable(),
    idempotencyKey: p.text().nullable(),
    traceContext: p.json().nullable(),
    workerId: p.uuid().nullable(),
    createdBy: p.uuid().nullable(),
    version: p.integer().default(1),
    position: p.bigint("bigint").default(0),
    createdAt: p.datetime(3).defaultRaw("date_trunc('milliseconds', now())"),
    startedAt: p.datetime(3).nullable(),
    finishedAt: p.datetime(3).nullable(),
    updatedAt: p.datetime(3).defaultRaw("date_trunc('milliseconds', now())"),
  },
});
