import { randomUUID } from "node:crypto";
import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import { asSuperuser, onDatabase, silent, type TestDatabase } from "./database.js";

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
  await asSuperuser(`create database ${login} owner ${login}`);
  const superuserUrl = onDatabase("ATLAS_TEST_SUPERUSER_URL", login);
  const url = Object.assign(new URL(superuserUrl), { username: login, password: "secret" }).href;
  const database = await Database.connect({ url, poolSize: 5, log: silent });
  await migrate(database);
  const roles = {
    api: database.roleName("api"),
    feed: database.roleName("feed"),
    worker: database.roleName("worker"),
  };
  return {
    login,
    roles,
    url,
    superuserUrl,
    database,
    async drop() {
      await database.close();
      await asSuperuser(`drop database ${login} with (force)`);
      await asSuperuser(`drop role ${Object.values(roles).join(", ")}, ${login}`);
    },
  };
}
