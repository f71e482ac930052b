import { randomUUID } from "node:crypto";
import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import { asSuperuser, onDatabase, silent, type TestDatabase } from "./database.js";
import { atEnd, useFixture } from "./use.js";

/** A database of a login of its own, with roles of its own: a test may do to them what would disturb the other tests. */
export interface LoginDatabase extends TestDatabase {
  login: string;
  /** The roles that the service acts in here. */
  roles: Record<"api" | "feed" | "worker", string>;
}

/** @param attributes of the login: `createrole` for one as the README asks for. It migrates the database itself. */
export async function createLoginDatabase(attributes: string): Promise<LoginDatabase> {
  const login = `login_${randomUUID().slice(0, 8)}`;
  await asSuperuser(`create role ${login} login password 'secret' ${attributes}`);
  atEnd(() => dropRoles(login));
  await asSuperuser(`create database ${login} owner ${login}`);
  atEnd(() => asSuperuser(`drop database ${login} with (force)`));
  const superuserUrl = onDatabase("ATLAS_TEST_SUPERUSER_URL", login);
  const url = Object.assign(new URL(superuserUrl), { username: login, password: "secret" }).href;
  const database = await Database.connect({ url, poolSize: 5, log: silent });
  atEnd(() => database.close());
  await migrate(database);
  const roles = {
    api: database.roleName("api"),
    feed: database.roleName("feed"),
    worker: database.roleName("worker"),
  };
  return { login, roles, url, superuserUrl, database };
}

/** A database of a login of its own for the tests beside the call. */
export function useLoginDatabase(attributes = "createrole"): LoginDatabase {
  return useFixture(() => createLoginDatabase(attributes));
}

/** Drops the login, the service's roles, and whatever role a test has named after them. */
async function dropRoles(login: string): Promise<void> {
  const named = await asSuperuser(`select rolname as name from pg_roles where strpos(rolname, '${login}') > 0`);
  await asSuperuser(`drop role ${(named as { name: string }[]).map(({ name }) => name).join(", ")}`);
}
