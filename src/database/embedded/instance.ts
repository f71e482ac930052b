import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What `instance.json` says of a DATA_DIR's server; it stays the same from one start to the next, so that pools reconnect. */
export interface Instance {
  /** The service's login. */
  readonly url: string;
  /** The superuser, for operators and tests. */
  readonly superuserUrl: string;
  /** Where the watchdog takes holders; null: the server is stopped. Left behind by a watchdog that was killed. */
  readonly watchdog: { readonly pid: number; readonly port: number; readonly secret: string } | null;
}

/** The instance last written under `home`; null when there is none that can be read. */
export async function readInstance(home: string): Promise<Instance | null> {
  try {
    return JSON.parse(await readFile(join(home, "instance.json"), "utf8")) as Instance;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Replaces the instance in one step, readable for this user only. The caller holds the lock. */
export async function writeInstance(home: string, instance: Instance): Promise<void> {
  const draft = join(home, "instance.json.new");
  await writeFile(draft, `${JSON.stringify(instance, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(draft, join(home, "instance.json"));
}

/** The same instance with its server on another port. */
export function onPort(instance: Instance, port: number): Instance {
  const moved = (url: string) => Object.assign(new URL(url), { port: String(port) }).href;
  return { ...instance, url: moved(instance.url), superuserUrl: moved(instance.superuserUrl) };
}
