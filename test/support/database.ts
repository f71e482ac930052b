import { randomUUID } from "node:crypto";
import pg from "pg";
import { Database } from "../../src/database/database.js";
import type { MemberRole, SeatType } from "../../src/words.js";
import { createLogger } from "../../src/log.js";
import { atEnd, type Span, useFixture } from "./use.js";

/** A database of a test's own, migrated; the login is no superuser. */
export interface TestDatabase {
  url: string;
  superuserUrl: string;
  database: Database;
}

export const silent = createLogger("silent");
export const SYSTEM = { role: "worker", actor: "system" } as const;

/** It is dropped at the end of the test or block. */
export async function createTestDatabase(poolSize = 10): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await asSuperuser(`create database ${name} template atlas_template owner atlas`);
  atEnd(() => asSuperuser(`drop database ${name} with (force)`));
  const url = onDatabase("ATLAS_TEST_URL", name);
  const database = await Database.connect({ url, poolSize, log: silent });
  atEnd(() => database.close());
  return { url, superuserUrl: onDatabase("ATLAS_TEST_SUPERUSER_URL", name), database };
}

/** A database for the tests beside the call, as `createTestDatabase` makes it. */
export function useDatabase({ per, poolSize }: Span & { poolSize?: number } = {}): TestDatabase {
  return useFixture(() => createTestDatabase(poolSize), { per });
}

export interface MemberOptions {
  seat?: SeatType;
  role?: MemberRole;
}

/** A new tenant with one member. */
export async function createTenant(
  database: Database,
  { seat = "enterprise", role = "member" }: MemberOptions = {},
): Promise<{ tenantId: string; userId: string }> {
  const [tenantId, userId] = [randomUUID(), randomUUID()];
  await database.transaction(SYSTEM, async (tx) => {
    await tx.query("insert into tenants (id, name) values ($1, 'Test')", [tenantId]);
    await tx.query("insert into tenant_members (tenant_id, user_id, seat, role) values ($1, $2, $3, $4)", [
      tenantId,
      userId,
      seat,
      role,
    ]);
  });
  return { tenantId, userId };
}

/** Writes so many queued jobs of one type into the table, in one transaction. */
export function insertJobs(database: Database, tenantId: string, count: number, jobType = "A"): Promise<unknown[]> {
  return database.transaction(SYSTEM, (tx) =>
    tx.query("insert into jobs (tenant_id, job_type) select $1, $2 from generate_series(1, $3::int)", [
      tenantId,
      jobType,
      count,
    ]),
  );
}

/** Runs one statement as the cluster's superuser. */
export async function asSuperuser(sql: string, url = environment("ATLAS_TEST_SUPERUSER_URL")): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The address in an environment variable, with this database for its own. */
export function onDatabase(variable: string, name: string): string {
  return Object.assign(new URL(environment(variable)), { pathname: `/${name}` }).href;
}

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run the tests with npm test`);
  return value;
}
