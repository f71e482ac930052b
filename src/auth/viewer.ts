import type { MemberRole, SeatType } from "../database/entities/tenant-member.entity.js";

/** The request, or the connection, that somebody makes. */
export interface Asking {
  /** Names it in logs and errors. */
  requestId?: string;
  /** When it is given up, as `performance.now()` counts; its statements are canceled then. Absent: never. */
  deadlineAt?: number;
}

/** Who asks: a member of the tenant that the request is for. */
export interface Viewer extends Asking {
  tenantId: string;
  userId: string;
  role: MemberRole;
  seatType: SeatType;
  /** When the token ends. */
  expiresAt: Date;
}
