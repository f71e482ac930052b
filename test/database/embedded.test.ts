import { once } from "node:events";
import { chmod, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { readInstance } from "../../src/database/embedded/instance.js";
import {
  bystanderOfServerUser,
  dataDir,
  isAlive,
  itAsRoot,
  itWithNamespaces,
  listen,
  moveTo,
  open,
  openInChild,
  query,
  remember,
  remembers,
  root,
  serverPid,
  stopped,
  uidOf,
  until,
} from "./embedded-rig.js";

describe("openEmbeddedDatabase", () => {
  it("starts a server that answers, of UTF-8 and UTC", async () => {
    const { url } = await open();
    const [row] = await query(
      url,
      `select current_setting('server_version_num')::int / 10000 as major, current_setting('timezone') as timezone,
         pg_encoding_to_char(encoding) as encoding, datlocale as locale, current_setting('data_checksums') as checksums
       from pg_database where datname = current_database()`,
    );
    expect(row).toEqual({ major: 18, timezone: "UTC", encoding: "UTF8", locale: "C.UTF-8", checksums: "on" });
  });

  it("logs in as a non-superuser that owns the database and may create roles", async () => {
    const { url } = await open();
    const [row] = await query(
      url,
      `select current_user as login, rolsuper, rolbypassrls, rolcreaterole, pg_get_userbyid(datdba) as owner
       from pg_roles, pg_database where rolname = current_user and datname = current_database()`,
    );
    expect(row).toEqual({ login: "atlas", rolsuper: false, rolbypassrls: false, rolcreaterole: true, owner: "atlas" });
    await query(url, "create temporary table wall (id int)");
  });

  it("keeps passwords in a file for its user only, and lets nobody in without them", async () => {
    const { url } = await open();
    expect((await stat(join(dataDir, "postgres", "instance.json"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, "postgres", "server.log"))).mode & 0o777).toBe(0o600);
    for (const login of ["atlas:wrong", "postgres:"]) {
      await expect(query(url.replace(/atlas:[^@]*/, login), "select")).rejects.toThrow(/password/);
    }
    const instance = await readInstance(join(dataDir, "postgres"));
    await expect(
      query(instance!.superuserUrl, "select rolsuper from pg_roles where rolname = current_user"),
    ).resolves.toEqual([{ rolsuper: true }]);
  });

  it("shares the server with other processes, and keeps it up until the last releases it", async () => {
    const database = await open();
    const other = await openInChild();
    expect(other.url).toBe(database.url);
    const pid = await serverPid();

    await database.close();
    const [row] = await query(database.url, "select pg_sleep(2), 'still up' as state");
    expect(row).toMatchObject({ state: "still up" });
    expect(await serverPid()).toBe(pid);

    other.child.kill("SIGTERM");
    await stopped();
    expect(isAlive(pid)).toBe(false);
  });

  it("stops the server after its last holder is killed with -9", async () => {
    const holders = [await openInChild(), await openInChild()];
    const pid = await serverPid();
    for (const { child } of holders) child.kill("SIGKILL");
    await until(() => !isAlive(pid), 10_000);
    expect(await readFile(join(dataDir, "postgres", "server.log"), "utf8")).toContain("database system is shut down");
  });

  it("stops the server after its watchdog and all holders are killed with -9", async () => {
    const { child } = await openInChild();
    const pid = await serverPid();
    child.kill("SIGKILL");
    process.kill((await readInstance(join(dataDir, "postgres")))!.watchdog!.pid, "SIGKILL");
    await until(() => !isAlive(pid), 10_000);
    await (await open()).close();
  });

  it("makes one server when processes open an empty folder at the same instant", async () => {
    moveTo("empty");
    const opened = await Promise.all([openInChild(), openInChild(), open(), open()]);
    expect(new Set(opened.map(({ url }) => url)).size).toBe(1);
    for (const { url } of opened) await query(url, "select 1");
    const starts = (await readFile(join(dataDir, "postgres", "server.log"), "utf8")).match(/starting PostgreSQL/g);
    expect(starts).toHaveLength(1);
  });

  it("keeps data, address and passwords from one start to the next", async () => {
    const first = await open();
    await remember(first.url);
    await first.close();
    await stopped();
    const second = await open();
    expect(second.url).toBe(first.url);
    expect(await remembers(second.url)).toBe(true);
  });

  it("moves to another port when the last one is taken", async () => {
    const first = await open();
    await first.close();
    await stopped();
    const intruder = await listen(Number(new URL(first.url).port));
    try {
      const second = await open();
      expect(new URL(second.url).port).not.toBe(new URL(first.url).port);
      await query(second.url, "select 1");
    } finally {
      intruder.close();
    }
  });

  it("starts anew when it arrives while the server is being stopped", async () => {
    const first = await open();
    const pid = await serverPid();
    await first.close();
    const { watchdog } = (await readInstance(join(dataDir, "postgres")))!;
    process.kill(watchdog!.pid, "SIGTERM");
    const second = await open();
    // The opener may still be welcomed before the signal is heeded: then it is the holder that starts the new server.
    await until(async () => ![0, pid].includes(await serverPid()), 20_000);
    await until(
      () =>
        query(second.url, "select 1").then(
          () => true,
          () => false,
        ),
      20_000,
    );
  });

  it("stops the server when its watchdog is killed, and its holders start another with the same address", async () => {
    const database = await open();
    await remember(database.url);
    const before = (await readInstance(join(dataDir, "postgres")))!.watchdog!;
    const pid = await serverPid();
    process.kill(before.pid, "SIGKILL");
    await until(() => !isAlive(pid), 10_000);
    await until(() => remembers(database.url), 20_000);
    expect((await readInstance(join(dataDir, "postgres")))!.watchdog!.pid).not.toBe(before.pid);
  });

  it("comes back after the server itself is killed", async () => {
    const database = await open();
    await remember(database.url);
    const pid = await serverPid();
    process.kill(pid, "SIGKILL");
    await until(async () => (await serverPid()) !== pid && remembers(database.url), 20_000);
  });

  it("takes over from a server that a killed watchdog left behind", async () => {
    const { child, url } = await openInChild();
    await remember(url);
    const { watchdog } = (await readInstance(join(dataDir, "postgres")))!;
    const pid = await serverPid();
    // A stopped server cannot obey the shell that guards it; it wakes to find the newcomer waiting.
    process.kill(pid, "SIGSTOP");
    child.kill("SIGKILL");
    process.kill(watchdog!.pid, "SIGKILL");
    const opening = open();
    await until(
      async () =>
        (await readFile(join(dataDir, "postgres", "server.log"), "utf8")).includes(`stopping the server ${pid}`),
      10_000,
    );
    process.kill(pid, "SIGCONT");
    const database = await opening;
    expect(database.url).toBe(url);
    expect(await remembers(url)).toBe(true);
    expect(await serverPid()).not.toBe(pid);
  });

  it("starts from what a crash of the machine leaves: files that name other programs' pids and ports", async () => {
    const { child, url } = await openInChild();
    await remember(url);
    const home = join(dataDir, "postgres");
    const pidFile = join(home, "cluster", "postmaster.pid");
    const instance = (await readInstance(home))!;
    const lines = (await readFile(pidFile, "utf8")).split("\n");
    child.kill("SIGKILL");
    await stopped();

    const intruder = await listen(0);
    try {
      const bystander = await bystanderOfServerUser();
      await writeFile(pidFile, [bystander.pid, ...lines.slice(1)].join("\n"), { mode: 0o600 });
      const watchdog = { ...instance.watchdog!, port: (intruder.address() as AddressInfo).port };
      await writeFile(join(home, "instance.json"), JSON.stringify({ ...instance, watchdog }));
      await open();
      expect(await remembers(url)).toBe(true);
      expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    } finally {
      intruder.close();
    }
  });

  it("sets new passwords when the file with them is lost", async () => {
    const first = await open();
    await remember(first.url);
    await first.close();
    await stopped();
    await rm(join(dataDir, "postgres", "instance.json"));
    const second = await open();
    expect(await remembers(second.url)).toBe(true);
  });

  it("makes the cluster again when its making was cut short", async () => {
    moveTo("draft");
    await mkdir(join(dataDir, "postgres", "draft-x", "base"), { recursive: true });
    const { url } = await open();
    await query(url, "select 1");
    await expect(stat(join(dataDir, "postgres", "draft-x"))).rejects.toThrow(/ENOENT/);
  });

  it("says why, with the end of the server's log, when it cannot start", async () => {
    moveTo("broken");
    await (await open()).close();
    await stopped();
    await writeFile(join(dataDir, "postgres", "cluster", "PG_VERSION"), "9.6\n");
    await expect(open()).rejects.toThrow(/does not start[^]*incompatible/);
  });

  it("works under a long path with spaces", async () => {
    moveTo("a folder with 'quotes' and spaces", "x".repeat(120), "y".repeat(60));
    const { url } = await open();
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("does not keep its holder's process up", async () => {
    const { child } = await openInChild("");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
  });

  itAsRoot("does not run the server as root", async () => {
    await open();
    expect(await uidOf(await serverPid())).toBeGreaterThan(0);
  });

  itWithNamespaces("runs it in a user namespace under a folder that only root may enter, and back", async () => {
    moveTo("private");
    await chmod(root, 0o700);
    const first = await open();
    await remember(first.url);
    await first.close();
    await stopped();
    await chmod(root, 0o755);
    const second = await open();
    expect(await uidOf(await serverPid())).toBeGreaterThan(0);
    expect(await remembers(second.url)).toBe(true);
  });
});
