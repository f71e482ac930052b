import type { MemberRole, SeatType } from "../database/entities/tenant-member.entity.js";

/** Who asks: a member of the tenant that the request is for. */
export interface Viewer {
  tenantId: string;
  userId: string;
  role: MemberRole;
  seatType: SeatType;
  /** When the token ends. */
  expiresAt: Date;
}
