import { randomUUID } from "node:crypto";
import { issueToken } from "../../dist/auth/issue-token.js";
import { Database } from "../../dist/database/database.js";
import { readCursorKey } from "../../dist/database/installation.js";
import { migrate } from "../../dist/database/migrate.js";
import { Cursors } from "../../dist/services/cursors.js";
import { createLogger } from "../../dist/log.js";
import { TenantService } from "../../dist/services/tenant-service.js";

/** A member of a tenant. */
export interface Person {
  tenantId: string;
  userId: string;
  token: string;
}

/** Migrates a database, and fills it with tenants, to which people belong in turn. @returns also what reads their cursors. */
export async function preparePeople(
  url: string,
  secret: string,
  count: { tenants: number; people: number },
): Promise<{ people: Person[]; cursors: Cursors }> {
  const database = await Database.connect({ url, poolSize: 2, log: createLogger("silent") });
  try {
    await migrate(database);
    const service = new TenantService(database);
    const tenants = await Promise.all(
      Array.from({ length: count.tenants }, (_, n) => service.createTenant(`Tenant ${n}`, null)),
    );
    const cursors = new Cursors(await readCursorKey(database));
    const people = await Promise.all(
      Array.from({ length: count.people }, async (_, n) => {
        const tenant = tenants[n % tenants.length]!;
        const { tenantId, userId } = await service.addMember(tenant.id, randomUUID(), "enterprise", "member");
        const rules = { key: { kind: "secret" as const, secret }, issuer: null, audience: null };
        return { tenantId, userId, token: issueToken(rules, userId, 86_400) };
      }),
    );
    return { people, cursors };
  } finally {
    await database.close();
  }
}
