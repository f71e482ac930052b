import type { Turns } from "../limits/turns.js";
import type { Database } from "../database/database.js";
import { TenantMemberEntity } from "../database/entities/tenant-member.entity.js";
import { AtlasError } from "../errors.js";
import type { Credentials } from "./credentials.js";
import type { TokenVerifier } from "./token-verifier.js";
import { isUuid } from "../bounds/uuid.js";
import { type RequestScope, sessionOf, type Viewer } from "./viewer.js";

/** Turns credentials into a viewer: token first, then tenant, then membership. */
export class Authenticator {
  constructor(
    private readonly tokens: TokenVerifier,
    private readonly database: Database,
    private readonly turns: Turns,
  ) {}

  /**
   * Lets a member in, for as long as they keep their turn.
   * @throws AtlasError `missing_bearer_token`, `invalid_token`, `tenant_required`, `invalid_tenant_id`,
   * `tenant_access_denied` (also for a tenant that does not exist), `rate_limit_exceeded`, `unavailable`.
   */
  async enter(credentials: Credentials, scope: RequestScope): Promise<{ viewer: Viewer; leave: () => void }> {
    const token = /^Bearer +(\S+) *$/i.exec(credentials.authorization ?? "")?.[1];
    if (token === undefined) {
      throw new AtlasError("missing_bearer_token", "Send a token in the Authorization header: Bearer <token>");
    }
    const { userId, expiresAt } = await this.tokens.verify(token);
    const tenantId = oneTenantId(credentials.tenantIds);
    const leave = await this.turns.enter(userId, scope.gone);
    try {
      const session = sessionOf({ ...scope, tenantId, userId });
      const member = await this.database.transaction(session, ({ em }) =>
        em.qb(TenantMemberEntity).select(["role", "seat"]).where({ tenantId, userId }).execute("get"),
      );
      if (!member) throw new AtlasError("tenant_access_denied", "You are no member of this tenant");
      return { viewer: { ...scope, tenantId, userId, expiresAt, role: member.role, seatType: member.seat }, leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /**
   * Who asks, for what lasts longer than a turn.
   * @throws AtlasError as `enter`
   */
  async authenticate(credentials: Credentials, scope: RequestScope = {}): Promise<Viewer> {
    const { viewer, leave } = await this.enter(credentials, scope);
    leave();
    return viewer;
  }

  /**
   * Which of these viewers are members still, as `memberKey` names them.
   * @throws AtlasError `unavailable`
   */
  async stillMembers(viewers: readonly Viewer[]): Promise<Set<string>> {
    const tenantIds = [...new Set(viewers.map(({ tenantId }) => tenantId))];
    const userIds = [...new Set(viewers.map(({ userId }) => userId))];
    const members = await this.database.transaction({ role: "feed" }, ({ em }) =>
      em
        .qb(TenantMemberEntity)
        .select(["tenantId", "userId"])
        .where({ tenantId: { $in: tenantIds }, userId: { $in: userIds } })
        .execute("all"),
    );
    return new Set(members.map(memberKey));
  }
}

/** Names a membership: tenant and user. */
export function memberKey({ tenantId, userId }: Pick<Viewer, "tenantId" | "userId">): string {
  return `${tenantId}:${userId}`;
}

function oneTenantId(given: readonly string[]): string {
  const named = new Set(given.map((id) => id.trim().toLowerCase()).filter((id) => id !== ""));
  const [tenantId] = named;
  if (tenantId === undefined) {
    throw new AtlasError("tenant_required", "Name the tenant in the x-tenant-id header");
  }
  if (named.size > 1 || !isUuid(tenantId)) {
    throw new AtlasError("invalid_tenant_id", "The tenant id must be one UUID");
  }
  return tenantId;
}
