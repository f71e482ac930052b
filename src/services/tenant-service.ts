import { randomUUID } from "node:crypto";
import { isUuid } from "../bounds/uuid.js";
import type { Database } from "../database/database.js";
import { TenantMemberEntity } from "../database/entities/tenant-member.entity.js";
import { MEMBER_ROLES, type MemberRole, SEATS, type SeatType } from "../words.js";
import { TenantEntity } from "../database/entities/tenant.entity.js";
import { AtlasError, type ErrorDetail, invalidInput } from "../errors.js";
import { textFault } from "../bounds/text.js";

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
   * Makes a user a member of a tenant, or changes the seat and role of one who is.
   * @param seat null: the one they have; `free_beta` for a new member.
   * @param role null: the one they have; `member` for a new one.
   * @throws AtlasError `invalid_input`, `not_found` for a tenant that does not exist
   */
  async addMember(tenantId: string, userId: string, seat: string | null, role: string | null): Promise<Member> {
    const details = membershipFaults(tenantId, userId);
    const knownSeat = SEATS.find((known) => known === seat);
    if (seat !== null && knownSeat === undefined) {
      details.push({ path: "seat", message: `must be one of ${SEATS.join(", ")}` });
    }
    const knownRole = MEMBER_ROLES.find((known) => known === role);
    if (role !== null && knownRole === undefined) {
      details.push({ path: "role", message: `must be one of ${MEMBER_ROLES.join(", ")}` });
    }
    if (details.length > 0) throw invalidInput(details);
    const ids = { tenantId: tenantId.toLowerCase(), userId: userId.toLowerCase() };
    return this.database.transaction(SYSTEM, async ({ em }) => {
      if ((await em.findOne(TenantEntity, { id: ids.tenantId })) === null) {
        throw new AtlasError("not_found", `There is no tenant ${ids.tenantId}`);
      }
      const present = await em.findOne(TenantMemberEntity, ids);
      const member: Member = {
        ...ids,
        seat: knownSeat ?? present?.seat ?? "free_beta",
        role: knownRole ?? present?.role ?? "member",
      };
      await em.upsert(TenantMemberEntity, member);
      return member;
    });
  }

  /**
   * Ends a membership; the user's streams of the tenant end within seconds.
   * @throws AtlasError `invalid_input`, `not_found` for whoever is no member
   */
  async removeMember(tenantId: string, userId: string): Promise<void> {
    const details = membershipFaults(tenantId, userId);
    if (details.length > 0) throw invalidInput(details);
    const ids = { tenantId: tenantId.toLowerCase(), userId: userId.toLowerCase() };
    await this.database.transaction(SYSTEM, async ({ em }) => {
      if ((await em.nativeDelete(TenantMemberEntity, ids)) === 0) {
        throw new AtlasError("not_found", `${ids.userId} is no member of ${ids.tenantId}`);
      }
    });
  }
}

function membershipFaults(tenantId: string, userId: string): ErrorDetail[] {
  const faults: ErrorDetail[] = [];
  if (!isUuid(tenantId)) faults.push({ path: "tenant", message: "must be a UUID" });
  if (!isUuid(userId)) faults.push({ path: "user", message: "must be a UUID" });
  return faults;
}
