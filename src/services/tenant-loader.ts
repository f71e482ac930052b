import DataLoader from "dataloader";
import type { Database, Transaction } from "../database/database.js";
import type { Pace } from "../limits/pace.js";

export interface LoaderOptions<Key> {
  maxBatchSize: number;
  /** Names a key among its tenant's: of keys with the same name one is read. */
  nameOf: (key: Key) => string;
  /** Set where inputs and outputs are read: the pace at which each tenant reads them. */
  payloads?: Pace;
}

/**
 * Reads what a tenant's requests ask for in the same turn of the event loop together, in one transaction, and equal keys once.
 * Nothing is cached: the next turn reads again. A tenant neither waits for another's reading nor fails with it.
 */
export class TenantLoader<Key extends { tenantId: string }, T> {
  private readonly loaders = new Map<string, { loader: DataLoader<Key, T, string>; waiting: number }>();

  /** @param read gives one value for each key, in the keys' order. */
  constructor(
    private readonly database: Database,
    private readonly options: LoaderOptions<Key>,
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

  private loaderOf(tenantId: string): DataLoader<Key, T, string> {
    const { maxBatchSize, nameOf, payloads } = this.options;
    const session = { role: "api", tenantId, actor: "system", payloads: payloads !== undefined } as const;
    const readAll = async (keys: readonly Key[]): Promise<readonly T[]> => {
      // From here on the loader is asked for later turns' keys: they must not get this turn's values.
      loader.clearAll();
      await payloads?.turn(tenantId);
      return this.database.transaction(session, (tx) => this.read(tx, tenantId, keys));
    };
    const loader = new DataLoader<Key, T, string>(readAll, { cacheKeyFn: nameOf, maxBatchSize });
    return loader;
  }
}
