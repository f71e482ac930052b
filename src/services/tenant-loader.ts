import DataLoader from "dataloader";
import type { Database, Transaction } from "../database/database.js";

/**
 * Batches what is asked for in the same turn, by whatever request, into one transaction for each tenant. Nothing is
 * kept: the next turn reads anew.
 * @param read gives one value for each key, in the keys' order.
 */
export function tenantLoader<Key extends { tenantId: string }, T>(
  database: Database,
  maxBatchSize: number,
  read: (tx: Transaction, tenantId: string, keys: readonly Key[]) => Promise<readonly T[]>,
): DataLoader<Key, T> {
  const readAll = async (keys: readonly Key[]): Promise<T[]> => {
    const found = new Map<Key, { value: T }>();
    for (const [tenantId, own] of Map.groupBy(keys, (key) => key.tenantId)) {
      const values = await database.transaction({ role: "api", tenantId, actor: "system" }, (tx) =>
        read(tx, tenantId, own),
      );
      for (const [index, value] of values.entries()) found.set(own[index] as Key, { value });
    }
    return keys.map((key) => (found.get(key) as { value: T }).value);
  };
  return new DataLoader(readAll, { cache: false, maxBatchSize });
}
