import type { SeatType } from "../database/entities/tenant-member.entity.js";

/** Jobs a day (UTC) that a seat may create; null: no limit. */
export const DAILY_JOBS: Readonly<Record<SeatType, number | null>> = {
  free_beta: 10,
  starter: 50,
  pro: 200,
  enterprise: null,
};
