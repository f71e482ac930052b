import { randomUUID } from "node:crypto";
import { isUuid } from "../auth/uuid.js";
import type { Database } from "../database/database.js";
import {
  type MemberRole,
  SEATS,
  type SeatType,
  TenantMemberEntity,
} from "../database/entities/tenant-member.entity.js";
import { TenantEntity } from "../database/entities/tenant.entity.js";
import { AtlasError, type ErrorDetail } from "../errors.js";
import { invalidInput } from "./create-job-input.js";
import { textFault } from "./json-bounds.js";

export interface Tenant {
  id: string;
  name: string;
}

export interface Member {
  tenantId: string;
  userId: string;
  seat: SeatType;
  role: MemberRole;
}

const MAX_NAME_CHARACTERS = 200;
const ROLES = ["viewer", "member", "owner"] as const satisfies MemberRole[];
const SYSTEM = { role: "worker", actor: "system" } as const;

/** What the operator does with tenants and their members; acts for no viewer. */
export class TenantService {
  constructor(private readonly database: Database) {}

  /**
   * Makes a tenant. With the id of one that exists it gives that one the name: running it twice is harmless.
   * @param id null: a new one.
   * @throws AtlasError `invalid_input`
   */
  async createTenant(name: string, id: string | null): Promise<Tenant> {
    const details: ErrorDetail[] = [];
    const fault = textFault(name);
    if (fault !== null) details.push({ path: "name", message: fault });
    if (name.trim() === "" || Array.from(name).length > MAX_NAME_CHARACTERS) {
      details.push({ path: "name", message: `must be 1–${MAX_NAME_CHARACTERS} characters` });
    }
    if (id !== null && !isUuid(id)) details.push({ path: "id", message: "must be a UUID" });
    if (details.length > 0) throw invalidInput(details);
    const tenant = { id: (id ?? randomUUID()).toLowerCase(), name };
    await this.database.transaction(SYSTEM, ({ em }) => em.upsert(TenantEntity, tenant));
    return tenant;
  }

  /**
   * Makes a user a member of a tenant, or changes the seat of one who is.
   * @throws AtlasError `invalid_input`, `not_found` for a tenant that does not exist
   */
  async addMember(tenantId: string, userId: string, seat: string, role: string): Promise<Member> {
    const details: ErrorDetail[] = [];
    if (!isUuid(tenantId)) details.push({ path: "tenant", message: "must be a UUID" });
    if (!isUuid(userId)) details.push({ path: "user", message: "must be a UUID" });
    const knownSeat = SEATS.find((known) => known === seat);
    if (knownSeat === undefined) details.push({ path: "seat", message: `must be one of ${SEATS.join(", ")}` });
    const knownRole = ROLES.find((known) => known === role);
    if (knownRole === undefined) details.push({ path: "role", message: `must be one of ${ROLES.join(", ")}` });
    if (knownSeat === undefined || knownRole === undefined || details.length > 0) throw invalidInput(details);
    const member: Member = {
      tenantId: tenantId.toLowerCase(),
      userId: userId.toLowerCase(),
      seat: knownSeat,
      role: knownRole,
    };
    await this.database.transaction(SYSTEM, async ({ em }) => {
      if ((await em.findOne(TenantEntity, { id: member.tenantId })) === null) {
        throw new AtlasError("not_found", `There is no tenant ${member.tenantId}`);
      }
      await em.upsert(TenantMemberEntity, member);
    });
    return member;
  }
}
