import type { Database } from "./database.js";

/** The key that authenticates this installation's cursors; the same in each process and after a restart. */
export async function readCursorKey(database: Database): Promise<Buffer> {
  const [row] = await database.transaction({ role: "feed" }, (tx) =>
    tx.query<{ cursor_key: Buffer }>("/* database.cursor_key */ select cursor_key from installation"),
  );
  if (row === undefined) throw new Error("the installation table is empty: run the migrations");
  return row.cursor_key;
}
