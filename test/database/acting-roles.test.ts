import { randomUUID } from "node:crypto";
import { makeActingRoles } from "../../src/database/acting-roles.js";
import { checkRowLevelSecurity } from "../../src/database/check-row-level-security.js";
import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import { asSuperuser, onDatabase, silent, SYSTEM } from "../support/database.js";

it("makes the roles that the migrations would make, for a login that is no superuser, and leaves the database empty", async () => {
  const login = `login_${randomUUID().slice(0, 8)}`;
  await asSuperuser(`create role ${login} login password 'secret' createrole`);
  await asSuperuser(`create database ${login} owner ${login}`);
  const superuserUrl = onDatabase("ATLAS_TEST_SUPERUSER_URL", login);
  const url = Object.assign(new URL(superuserUrl), { username: login, password: "secret" }).href;
  const database = await Database.connect({ url, poolSize: 2, log: silent });

  const roles = ["api", "feed", "worker"].map((part) => `atlas_${part}_${login}`);
  expect(await makeActingRoles(database)).toEqual(roles);
  expect(await makeActingRoles(database)).toEqual(roles);
  expect(await asSuperuser("select from pg_class where relnamespace = 'public'::regnamespace", superuserUrl)).toEqual(
    [],
  );
  const [acting] = (await database.queryAsLogin(
    "select pg_has_role($1::name, 'set') as may_act, pg_has_role($1::name, 'usage') as inherits, rolcanlogin, rolsuper, rolbypassrls from pg_roles where rolname = $1::name",
    [roles[0]],
  )) as object[];
  expect(acting).toEqual({ may_act: true, inherits: false, rolcanlogin: false, rolsuper: false, rolbypassrls: false });

  await migrate(database);
  expect(await checkRowLevelSecurity(database)).toBeNull();
  expect(await database.transaction(SYSTEM, (tx) => tx.query("select from jobs"))).toEqual([]);
  await database.close();
  await asSuperuser(`drop database ${login} with (force)`);
  await asSuperuser(`drop role ${roles.join(", ")}, ${login}`);
});
