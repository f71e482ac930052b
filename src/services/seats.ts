import { DAILY_JOBS } from "../limits/policies.js";
import type { SeatType } from "../words.js";
import type { Usage } from "../queue/usage.js";

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
