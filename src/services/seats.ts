import type { SeatType } from "../database/entities/tenant-member.entity.js";
import type { Usage } from "../queue/usage.js";

/** Jobs a day (UTC) that a seat may create; null: no limit. */
export const DAILY_JOBS: Readonly<Record<SeatType, number | null>> = {
  free_beta: 10,
  starter: 50,
  pro: 200,
  enterprise: null,
};

/** A member's creates today; limit and remaining null: no limit. */
export interface DailyJobs {
  limit: number | null;
  used: number;
  remaining: number | null;
  resetsAt: Date;
}

export function dailyJobsOf(seat: SeatType, { used, resetsAt }: Usage): DailyJobs {
  const limit = DAILY_JOBS[seat];
  return { limit, used, remaining: limit === null ? null : Math.max(limit - used, 0), resetsAt };
}
