import { PERMISSIONS } from "../auth/permissions.js";
import { sessionOf, type Viewer } from "../auth/viewer.js";
import { uuidFromBytes, uuidToBytes } from "../bounds/uuid.js";
import type { Database } from "../database/database.js";
import { TenantMemberEntity } from "../database/entities/tenant-member.entity.js";
import type { MemberRole, SeatType } from "../words.js";
import { AtlasError } from "../errors.js";
import type { CursorCodec, Cursors } from "./cursors.js";
import { readUsage, readUsages } from "../queue/usage.js";
import { type ForwardPageInput, type Page, pageOf, partOf } from "./page.js";
import { dailyJobsOf, type DailyJobs } from "./seats.js";

/** A member of the tenant, and what they have used of their day. */
interface TenantMember {
  userId: string;
  role: MemberRole;
  seatType: SeatType;
  createdAt: Date;
  dailyJobs: DailyJobs;
}

/** A member's place among the tenant's: their id. */
export const MEMBER_PLACE: CursorCodec<string> = {
  kind: "member",
  bytes: 16,
  encode: uuidToBytes,
  decode: uuidFromBytes,
};

/** The tenant's members. Each method acts for one viewer. */
export class MemberService {
  constructor(
    private readonly database: Database,
    private readonly cursors: Cursors,
  ) {}

  /**
   * A page of the tenant's members with their usage of today (UTC).
   * @throws AtlasError `tenant_access_denied` for whoever is no owner; `invalid_input`, `invalid_cursor`
   */
  async list(viewer: Viewer, page: ForwardPageInput): Promise<Page<TenantMember>> {
    if (!PERMISSIONS[viewer.role].seeMembers) {
      throw new AtlasError(
        "tenant_access_denied",
        `Your role in this tenant is ${viewer.role}: owners see its members`,
      );
    }
    const part = partOf(page);
    const { tenantId } = viewer;
    const afterId = part.after === null ? null : this.cursors.open(MEMBER_PLACE, tenantId, part.after);
    return this.database.transaction(sessionOf(viewer), async (tx) => {
      const rows = await tx.em
        .qb(TenantMemberEntity)
        .select(["userId", "role", "seat", "createdAt"])
        .where({ tenantId, ...(afterId !== null && { userId: { $gt: afterId } }) })
        .orderBy({ userId: "asc" })
        .limit(part.limit)
        .execute("all");
      const members = (await readUsages(tx, tenantId, rows)).map(({ member, usage }) => ({
        userId: member.userId,
        role: member.role,
        seatType: member.seat,
        createdAt: new Date(member.createdAt),
        dailyJobs: dailyJobsOf(member.seat, usage),
      }));
      return pageOf(part, members, ({ userId }) => this.cursors.seal(MEMBER_PLACE, tenantId, userId));
    });
  }

  /** What the viewer has used of their own day (UTC). */
  async dailyJobs(viewer: Viewer): Promise<DailyJobs> {
    const usage = await this.database.transaction(sessionOf(viewer), (tx) => readUsage(tx, viewer));
    return dailyJobsOf(viewer.seatType, usage);
  }
}
