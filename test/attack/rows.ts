import type { ErrorCode } from "../../src/errors.js";
import { headersFor, type TestMember, tokenOf } from "../support/api.js";
import type { Tenancy } from "./tenancy.js";

/** Two tenants. */
export interface World {
  victim: Tenancy;
  attacker: Tenancy;
}

/** A way to come without the right to, and what one is told for it on every surface. */
interface Row {
  row: string;
  credentials: (world: World) => Pick<TestMember, "token"> & { tenantIds: string[] };
  /** Whose objects and cursors the request names. */
  names: keyof World;
  told: ErrorCode;
  /** The socket's close code. */
  closes: number;
}

export const ROWS: readonly Row[] = [
  {
    row: "other tenant's header",
    credentials: ({ attacker, victim }) => ({ token: attacker.member.token, tenantIds: [victim.member.tenantId] }),
    names: "attacker",
    told: "tenant_access_denied",
    closes: 4403,
  },
  {
    row: "other tenant's header and objects",
    credentials: ({ attacker, victim }) => ({ token: attacker.member.token, tenantIds: [victim.member.tenantId] }),
    names: "victim",
    told: "tenant_access_denied",
    closes: 4403,
  },
  {
    row: "no header",
    credentials: ({ attacker }) => ({ token: attacker.member.token, tenantIds: [] }),
    names: "victim",
    told: "tenant_required",
    closes: 4400,
  },
  {
    row: "two headers, the own first",
    credentials: ({ attacker, victim }) => ({
      token: attacker.member.token,
      tenantIds: [attacker.member.tenantId, victim.member.tenantId],
    }),
    names: "victim",
    told: "invalid_tenant_id",
    closes: 4400,
  },
  {
    row: "two headers, the own last",
    credentials: ({ attacker, victim }) => ({
      token: attacker.member.token,
      tenantIds: [victim.member.tenantId, attacker.member.tenantId],
    }),
    names: "victim",
    told: "invalid_tenant_id",
    closes: 4400,
  },
  {
    row: "removed member",
    credentials: ({ victim }) => ({ token: victim.removed.token, tenantIds: [victim.member.tenantId] }),
    names: "victim",
    told: "tenant_access_denied",
    closes: 4403,
  },
  {
    row: "expired token",
    credentials: ({ victim }) => ({ token: tokenOf(victim.member.userId, -60), tenantIds: [victim.member.tenantId] }),
    names: "victim",
    told: "invalid_token",
    closes: 4403,
  },
];

/** The headers of a row's request; two tenants are two lines. */
export function headersOf({ credentials }: Row, world: World): Record<string, string | string[]> {
  const { token, tenantIds } = credentials(world);
  const { authorization } = headersFor(token, "");
  return { authorization: authorization as string, ...(tenantIds.length > 0 && { "x-tenant-id": tenantIds }) };
}

/** The parameters of a row's socket; two tenants are two spellings of one name. */
export function parametersOf({ credentials }: Row, world: World): Record<string, string> {
  const { token, tenantIds } = credentials(world);
  const names = ["x-tenant-id", "X-Tenant-Id"];
  return {
    authorization: `Bearer ${token}`,
    ...Object.fromEntries(tenantIds.map((id, index) => [names[index] as string, id])),
  };
}
