import type { Transaction } from "../database/database.js";

/**
 * Removes a job that is not running; its events stay, and the deletion is one of them.
 * @returns false when there is no such job that is not running.
 */
export async function deleteJob(tx: Transaction, tenantId: string, id: string): Promise<boolean> {
  return (await tx.query(DELETE, [tenantId, id])).length > 0;
}

const DELETE = `/* queue.delete */
delete from jobs where tenant_id = $1 and id = $2 and status <> 'running' returning id`;
