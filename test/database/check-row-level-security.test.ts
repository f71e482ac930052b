import { spawnSync } from "node:child_process";
import { checkRowLevelSecurity, TENANT_TABLES } from "../../src/database/check-row-level-security.js";
import { asSuperuser } from "../support/database.js";
import { createLoginDatabase, useLoginDatabase } from "../support/login.js";
import { startService } from "../support/service.js";

const own = useLoginDatabase();

/** Writes names of the test's own roles in place of `api`, `feed`, `worker` and `login` in braces. */
const named = (text: string): string =>
  text.replaceAll(/\{(\w+)\}/g, (_, name: string) => ({ ...own.roles, login: own.login })[name] ?? name);

const damage = (sql: string) => asSuperuser(named(sql), own.superuserUrl);
const check = () => checkRowLevelSecurity(own.database);
const problems = async (): Promise<string[]> => {
  const refusal = await check().then(
    () => new Error("the check found nothing"),
    (error: Error) => error,
  );
  expect(refusal.name).toBe("ConfigError");
  return refusal.message.split("\n  - ").slice(1);
};

describe("the check of row-level security", () => {
  it("finds nothing wrong with what the migrations make", async () => {
    expect(await check()).toBeNull();
  });

  it.each([
    ["alter role {api} superuser", "the role {api} has SUPERUSER"],
    ["alter role {api} bypassrls", "the role {api} has BYPASSRLS"],
    ["alter role {feed} bypassrls createrole", "the role {feed} has BYPASSRLS, CREATEROLE"],
    ["alter role {worker} replication", "the role {worker} has REPLICATION"],
    ["alter table jobs owner to {api}", "the role {api} owns jobs"],
    [
      "create role {login}_a bypassrls; grant {login}_a to {api}",
      "the role {api} is a member of {login}_a, and so of {login}_a, which has BYPASSRLS",
    ],
    [
      "create role {login}_b superuser; create role {login}_c in role {login}_b; grant {login}_c to {worker}",
      "the role {worker} is a member of {login}_c, and so of {login}_b, which has SUPERUSER",
    ],
    [
      "create role {login}_d; alter table daily_usage owner to {login}_d; grant {login}_d to {feed}",
      "the role {feed} is a member of {login}_d, and so of {login}_d, which owns daily_usage",
    ],
    ["alter table daily_usage disable row level security", "row-level security is off on daily_usage"],
    ["alter table jobs no force row level security", "row-level security is not forced on jobs"],
    ["drop policy api on tenants", "the policy api on tenants is not the one that was migrated"],
    ["alter policy api on jobs using (true)", "the policy api on jobs is not the one that was migrated"],
    [
      "alter policy api on job_events with check (true)",
      "the policy api on job_events is not the one that was migrated",
    ],
    ["alter policy worker on jobs to {worker}, {api}", "the policy worker on jobs is not the one that was migrated"],
    ["alter policy worker on jobs to public", "the policy worker on jobs is not the one that was migrated"],
    [
      "drop policy feed on job_counts; create policy feed on job_counts to {feed} using (case when current_user = '{feed}' then true end is not null)",
      "the policy feed on job_counts is not the one that was migrated",
    ],
    ["create policy support on jobs for select using (true)", "the policy support on jobs is none of the service's"],
  ])("refuses after: %s; and what it says mends it", async (sql, fault) => {
    await damage(sql);
    const [problem = "", ...others] = await problems();
    expect(others).toEqual([]);
    expect(problem).toContain(`${named(fault)}: `);
    await damage(problem.slice(problem.indexOf(": ") + 2));
    expect(await check()).toBeNull();
  });

  it("names every problem at once", async () => {
    await damage(
      "alter role {api} bypassrls; alter role {feed} bypassrls; alter table jobs disable row level security",
    );
    const found = await problems();
    expect(found).toHaveLength(3);
    for (const problem of found) await damage(problem.slice(problem.indexOf(": ") + 2));
  });

  it("says that a database without tables is not migrated", async () => {
    const empty = await createLoginDatabase("createrole");
    await asSuperuser("drop schema public cascade", empty.superuserUrl);
    await expect(checkRowLevelSecurity(empty.database)).rejects.toThrow(
      `there is no table ${Object.keys(TENANT_TABLES).toSorted().join(", ")}: run the migrations`,
    );
  });

  it("says that a database which another login has migrated cannot be served", async () => {
    const stranger = await createLoginDatabase("createrole");
    await asSuperuser(`alter role ${stranger.roles.api} rename to ${stranger.login}_gone`);
    await expect(checkRowLevelSecurity(stranger.database)).rejects.toThrow(
      `the role ${stranger.roles.api} does not exist: the database was migrated by another login, which is the one to use; or a dump was restored without the roles`,
    );
    await asSuperuser(`alter role ${stranger.login}_gone rename to ${stranger.roles.api}`);
  });
});

describe("the service", () => {
  const start = (variables: Record<string, string> = {}) =>
    startService({ DATABASE_URL: own.url, ROLE: "api", ...variables });

  it("does not start when a role that it acts in has BYPASSRLS, nor does the command line act, and says what to do", async () => {
    await damage("alter role {api} bypassrls");
    await expect(start()).rejects.toThrow(
      named(
        "the service ended with 1:\nCannot start; row-level security would not keep the tenants apart:\n" +
          "  - the role {api} has BYPASSRLS: alter role {api} nobypassrls\n",
      ),
    );
    const { status, stderr } = spawnSync(process.execPath, ["dist/cli/main.js", "tenant", "create", "--name", "T"], {
      env: { DATABASE_URL: own.url },
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(named("{api} has BYPASSRLS")) });
    await damage("alter role {api} nobypassrls");
  });

  it.each([
    ["superuser", "has SUPERUSER"],
    ["bypassrls", "has BYPASSRLS"],
  ])("starts with a login that is %s, and in production warns", async (attribute, warning) => {
    await damage(`alter role {login} ${attribute}`);
    const [production, development] = await Promise.all([start({ NODE_ENV: "production" }), start()]);
    await Promise.all([production.end("SIGTERM"), development.end("SIGTERM")]);
    expect(production.output()).toContain(named(`the login {login} ${warning}: give the service one of its own`));
    expect(development.output()).not.toContain(warning);
    await damage(`alter role {login} no${attribute}`);
  });

  it("warns in production of a login that is a member of one which could pass", async () => {
    await damage("create role {login}_e bypassrls; grant {login}_e to {login}");
    expect(await check()).toContain(named("the login {login} is a member of {login}_e, which has BYPASSRLS: "));
    await damage("drop role {login}_e");
  });
});
