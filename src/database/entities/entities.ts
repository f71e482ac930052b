import { DailyUsageEntity } from "./daily-usage.entity.js";
import { InstallationEntity } from "./installation.entity.js";
import { JobCountEntity } from "./job-count.entity.js";
import { JobEventEntity } from "./job-event.entity.js";
import { JobEntity } from "./job.entity.js";
import { LostPositionsEntity } from "./lost-positions.entity.js";
import { RateLimitEntity } from "./rate-limit.entity.js";
import { TenantMemberEntity } from "./tenant-member.entity.js";
import { TenantEntity } from "./tenant.entity.js";
import { WorkerEntity } from "./worker.entity.js";

/** Every table of the database, as the ORM sees it. */
export const entities = [
  TenantEntity,
  TenantMemberEntity,
  JobEntity,
  JobEventEntity,
  JobCountEntity,
  DailyUsageEntity,
  WorkerEntity,
  InstallationEntity,
  LostPositionsEntity,
  RateLimitEntity,
];
