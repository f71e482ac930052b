import DataLoader from "dataloader";
import type { Database, Transaction } from "../database/database.js";

/**
 * Reads together what is asked for in the same turn, by whatever requests of a tenant, in one transaction. Nothing is
 * kept: the next turn reads anew. No tenant waits for another's reading, or fails with it.
 */
export class TenantLoader<Key extends { tenantId: string }, T> {
  private readonly loaders = new Map<string, { loader: DataLoader<Key, T>; waiting: number }>();

  /** @param read gives one value for each key, in the keys' order. */
  constructor(
    private readonly database: Database,
    private readonly maxBatchSize: number,
    private readonly read: (tx: Transaction, tenantId: string, keys: readonly Key[]) => Promise<readonly T[]>,
  ) {}

  async load(key: Key): Promise<T> {
    const { tenantId } = key;
    const own = this.loaders.get(tenantId) ?? { loader: this.loaderOf(tenantId), waiting: 0 };
    this.loaders.set(tenantId, own);
    own.waiting += 1;
    try {
      return await own.loader.load(key);
    } finally {
      own.waiting -= 1;
      if (own.waiting === 0) this.loaders.delete(tenantId);
    }
  }

  private loaderOf(tenantId: string): DataLoader<Key, T> {
    const session = { role: "api", tenantId, actor: "system" } as const;
    const readAll = (keys: readonly Key[]): Promise<readonly T[]> =>
      this.database.transaction(session, (tx) => this.read(tx, tenantId, keys));
    return new DataLoader(readAll, { cache: false, maxBatchSize: this.maxBatchSize });
  }
}
