import type { Database } from "./database.js";

/**
 * Raises the position offset when the database has been moved to another server (a dump restored): transaction ids
 * start low again there, and positions must go on past the greatest one kept, and past those of cursors that were given
 * after the dump was taken. Call once, before anything is written.
 */
export async function adoptInstallation(database: Database): Promise<void> {
  await database.transaction({ role: "worker", actor: "system" }, (tx) => tx.query(ADOPT));
}

const ADOPT = `/* database.adopt */
update installation set
  -- A job's position is its last event's, which is kept or pruned.
  position_offset = greatest(pruned_position, (select max(position) from job_events)) + (1::bigint << 40),
  system_identifier = control.system_identifier
from pg_control_system() control
where installation.system_identifier <> control.system_identifier`;

/** The key that authenticates this installation's cursors; the same in each process and after a restart. */
export async function readCursorKey(database: Database): Promise<Buffer> {
  const [row] = await database.transaction({ role: "feed" }, (tx) =>
    tx.query<{ cursor_key: Buffer }>("/* database.cursor_key */ select cursor_key from installation"),
  );
  if (row === undefined) throw new Error("the installation table is empty: run the migrations");
  return row.cursor_key;
}
