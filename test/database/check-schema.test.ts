import { spawnSync } from "node:child_process";
import { checkSchema } from "../../src/database/check-schema.js";
import { migrate } from "../../src/database/migrate.js";
import { asSuperuser, useDatabase } from "../support/database.js";
import { createLoginDatabase } from "../support/login.js";
import { startService } from "../support/service.js";

const LATER = "insert into migrations (name) values ('9001-later')";
const REFUSAL =
  /^Cannot start; the database is newer than this version of Atlas Jobs: it has 9001-later and serves code that knows migration 9001, this code knows them up to \d{4}-[a-z-]+\. Start the version that migrated it\.$/;

const own = useDatabase({ per: "test" });

const change = (sql: string) => asSuperuser(sql, own.superuserUrl);
const cli = (...args: string[]) => {
  const env = { DATABASE_URL: own.url };
  const { status, stderr } = spawnSync(process.execPath, ["dist/cli/main.js", ...args], { env, encoding: "utf8" });
  return { status, stderr: stderr.trim() };
};

describe("the check of the schema", () => {
  it("finds nothing wrong with what the migrations make", async () => {
    expect(await checkSchema(own.database)).toEqual([]);
  });

  it("lets code start on migrations that it does not know, and changes nothing", async () => {
    await change(LATER);
    const service = await startService({ DATABASE_URL: own.url });
    expect(await service.end("SIGTERM")).toBe(0);
    expect(cli("migrate").status).toBe(0);
    expect(await change("select name from migrations where name > '9'")).toEqual([{ name: "9001-later" }]);
  });

  it("refuses code that is older than the schema can serve: service, migrations and command line, in one message", async () => {
    await change(`${LATER}; update installation set oldest_code = 9001`);
    await expect(migrate(own.database)).rejects.toMatchObject({
      name: "ConfigError",
      message: expect.stringMatching(REFUSAL) as string,
    });
    const ended = await startService({ DATABASE_URL: own.url }).then(
      async (service) => `it started, and ended with ${await service.end("SIGTERM")}`,
      (error: Error) => error.message.trim(),
    );
    expect(ended.split("\n").at(-1)).toMatch(REFUSAL);
    for (const args of [["migrate"], ["tenant", "create", "--name", "T"]]) {
      expect(cli(...args)).toEqual({ status: 1, stderr: expect.stringMatching(REFUSAL) as string });
    }
  });

  it("reads a schema from before it said how old the code may be, and says what it lacks", async () => {
    await change("delete from migrations where name >= '0009'; alter table installation drop column oldest_code");
    expect(await checkSchema(own.database)).toContain("0009-oldest-code");
    expect(cli("tenant", "create", "--name", "T")).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^The database lacks 0009-oldest-code.*: run the migrations/) as string,
    });
  });

  it("finds every migration lacking in an empty database", async () => {
    const empty = await createLoginDatabase("createrole");
    await asSuperuser(
      `drop schema public cascade; create schema public authorization ${empty.login}`,
      empty.superuserUrl,
    );
    const lacking = await checkSchema(empty.database);
    expect(await migrate(empty.database)).toEqual(lacking);
    expect(lacking[0]).toBe("0001-initial");
  });
});
