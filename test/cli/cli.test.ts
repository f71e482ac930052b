import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import jwt from "jsonwebtoken";
import { inheritedVariables } from "../support/inherited-variables.js";
import { asSuperuser, useDatabase } from "../support/database.js";
import { atEnd } from "../support/use.js";

const own = useDatabase();
let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "atlas-cli-"));
  atEnd(() => rm(dataDir, { recursive: true }));
});

function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...inheritedVariables(), DATABASE_URL: own.url, DATA_DIR: dataDir };
  return new Promise((resolve) => {
    execFile(process.execPath, ["dist/cli/main.js", ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const json = async (...args: string[]): Promise<unknown> => JSON.parse((await cli(...args, "--json")).stdout);

describe("the command line", () => {
  it("migrates, once", async () => {
    const made = (await asSuperuser("select name from migrations order by id", own.superuserUrl)) as { name: string }[];
    await asSuperuser("drop schema public cascade; create schema public authorization atlas", own.superuserUrl);
    expect(await json("migrate")).toEqual({ migrated: made.map(({ name }) => name) });
    expect(await cli("migrate")).toMatchObject({ code: 0, stdout: "The database is up to date.\n" });
  });

  it("takes a value that begins with a dash, as a cursor may, and an option for what it is", async () => {
    const { stdout } = await cli("tenant", "create", "--name", "-x", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ name: "-x" });
    expect(await json("tenant", "create", "--name", "--x")).toMatchObject({ name: "--x" });
    for (const option of ["--id", "--id=1", "--json"]) {
      expect(await cli("tenant", "create", "--name", option)).toMatchObject({ code: 2 });
    }
  });

  it("makes a tenant, its member and a token that names the user", async () => {
    const [id, user] = [randomUUID(), randomUUID()];
    expect(await json("tenant", "create", "--name", "Acme", "--id", id)).toEqual({ id, name: "Acme" });
    expect(await json("tenant", "create", "--name", "Acme 2", "--id", id)).toEqual({ id, name: "Acme 2" });
    expect((await cli("tenant", "create", "--name", "Other")).stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(await json("member", "add", "--tenant", id, "--user", user, "--seat", "pro")).toEqual({
      tenantId: id,
      userId: user,
      seat: "pro",
      role: "member",
    });
    await cli("member", "add", "--tenant", id, "--user", user, "--seat", "starter", "--role", "owner");
    const members = () => asSuperuser("select seat, role from tenant_members", own.superuserUrl);
    expect(await members()).toEqual([{ seat: "starter", role: "owner" }]);
    await cli("member", "add", "--tenant", id, "--user", user, "--seat", "pro");
    expect(await members()).toEqual([{ seat: "pro", role: "owner" }]);
    expect(await json("member", "remove", "--tenant", id, "--user", user)).toEqual({ tenantId: id, userId: user });
    expect(await members()).toEqual([]);
    expect(await cli("member", "remove", "--tenant", id, "--user", user)).toMatchObject({ code: 1 });
    const { stdout } = await cli("token", "--user", user, "--expires-in", "60");
    expect(jwt.decode(stdout.trim())).toMatchObject({ sub: user });
    const second = (await json("token", "--user", user)) as { token: string };
    const { exp = 0, iat = 0 } = jwt.decode(second.token) as jwt.JwtPayload;
    expect(exp - iat).toBe(3600);
  });

  it.each([
    [["tenant", "create"], 2, "tenant create needs --name"],
    [["tenant", "create", "--name", "x", "--id", "1"], 1, "id must be a UUID"],
    [["tenant", "create", "--name", " "], 1, "name must be 1–200 characters"],
    [["member", "add", "--tenant", randomUUID(), "--user", randomUUID()], 1, "There is no tenant"],
    [["member", "add", "--tenant", randomUUID(), "--user", randomUUID(), "--seat", "first"], 1, "seat must be one of"],
    [["token", "--user", "me"], 2, "--user must be a UUID"],
    [["token", "--user", randomUUID(), "--expires-in", "0"], 2, "--expires-in must be"],
    [["token", "--user", randomUUID(), "--for-ever"], 2, "--for-ever"],
    [["dance"], 2, `There is no command "dance"`],
  ])("says what is wrong with: %j", async (args, code, message) => {
    const answer = await cli(...args);
    expect(answer).toMatchObject({ code, stdout: "" });
    expect(answer.stderr).toContain(message);
  });

  it("explains itself", async () => {
    const { code, stdout } = await cli("--help");
    expect(code).toBe(0);
    for (const name of ["migrate", "roles", "tenant create", "member add", "member remove", "token", "watch"])
      expect(stdout).toContain(name);
  });
});
