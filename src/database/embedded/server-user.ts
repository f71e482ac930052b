import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { readFile } from "node:fs/promises";
import { parse } from "node:path";

/** Whom PostgreSQL's programs run as. */
export interface ServerUser {
  readonly name: string;
  /** The user who owns the data; null: this process's own. */
  readonly ids: { readonly uid: number; readonly gid: number } | null;
  /** A command that runs the rest of its arguments as the user; empty: none is needed. */
  readonly prefix: readonly string[];
}

/**
 * This process's own user; for root, as which PostgreSQL refuses to run: `postgres`, else `nobody`, else root itself inside a
 * user namespace that maps it to `nobody`.
 * @param home the folder that the server's user must reach
 * @param postgres the program that it must be able to run
 * @throws when no such user can do both.
 */
export async function chooseServerUser(home: string, postgres: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return { name: "this user", ids: null, prefix: [] };

  const account = await findAccount();
  if (account !== null && (await canServe(account, home, postgres))) return account;

  const namespaced: ServerUser = {
    name: "nobody of a user namespace",
    ids: { uid: 0, gid: 0 },
    prefix: ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"],
  };
  if (await canServe(namespaced, home, postgres)) return namespaced;
  throw new Error(
    `PostgreSQL refuses to run as root, the user ${account?.name ?? "nobody"} cannot reach ${home} and ${postgres}, ` +
      "and a user namespace is not allowed here: run as another user, open these folders to all, or set DATABASE_URL",
  );
}

/** Starts a program as the user, with a bare environment. */
export function spawnAs(user: ServerUser, program: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  const [command = program, ...rest] = [...user.prefix, program, ...args];
  return spawn(command, rest, {
    ...user.ids,
    stdio,
    // The programs ask for their working directory, which the user may not be allowed to see.
    cwd: parse(program).root,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C", TZ: "UTC" },
    windowsHide: true,
  });
}

async function findAccount(): Promise<ServerUser | null> {
  const accounts = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n").map((line) => line.split(":"));
  for (const wanted of ["postgres", "nobody"]) {
    const [name, , uid, gid] = accounts.find(([candidate]) => candidate === wanted) ?? [];
    if (name !== undefined && Number(uid) > 0) {
      return { name, ids: { uid: Number(uid), gid: Number(gid) }, prefix: [] };
    }
  }
  return null;
}

/** Finds out by a try: permissions, access lists and a container's limits have too many rules to check. */
async function canServe(user: ServerUser, home: string, postgres: string): Promise<boolean> {
  const probe = spawnAs(user, "/bin/sh", ["-c", 'cd "$1" && exec "$2" --version', "sh", home, postgres], "ignore");
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.once("exit", (code) => resolve(code === 0));
  });
}
