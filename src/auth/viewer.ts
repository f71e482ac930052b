import type { Session } from "../database/database.js";
import type { MemberRole, SeatType } from "../words.js";

/** One request, or one connection: its id, and until when anything is done for it. */
export interface RequestScope {
  /** Names it in logs and errors. */
  requestId?: string;
  /** When it is given up, as `performance.now()` counts; its statements are canceled then. Absent: never. */
  deadlineAt?: number;
  /** Fires when its client has left: nothing more is begun for it. */
  gone?: AbortSignal;
}

/** Who asks: a member of the tenant that the request is for. */
export interface Viewer extends RequestScope {
  tenantId: string;
  userId: string;
  role: MemberRole;
  seatType: SeatType;
  /** When the token ends. */
  expiresAt: Date;
}

/** A session of the database for what a viewer asks for. */
export function sessionOf({
  tenantId,
  userId,
  deadlineAt,
  gone,
}: Pick<Viewer, "tenantId" | "userId" | keyof RequestScope>): Extract<Session, { role: "api" }> {
  return {
    role: "api",
    tenantId,
    actor: `user:${userId}`,
    ...(deadlineAt !== undefined && { deadlineAt }),
    ...(gone !== undefined && { gone }),
  };
}
