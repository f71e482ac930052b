import type { Transaction } from "../database/database.js";

/**
 * Removes a job that is not running; its events stay, and the deletion is one of them.
 * @returns the deletion's position; null when there is no such job that is not running.
 */
export async function deleteJob(tx: Transaction, tenantId: string, id: string): Promise<bigint | null> {
  const [row] = await tx.query<{ position: string }>(DELETE, [tenantId, id]);
  return row === undefined ? null : BigInt(row.position);
}

const DELETE = `/* queue.delete */
delete from jobs where tenant_id = $1 and id = $2 and status <> 'running'
returning greatest(position, current_position()) as position`;
