import type { Cursors } from "../../dist/feed/cursors.js";
import { createAtlasClient } from "../../dist/client/index.js";

/** A client that watches a tenant through everything, and keeps what it has seen. */
export interface ChaosWatcher {
  tenantId: string;
  /** null: every status. */
  status: string | null;
  /** The place that it began after: events at a greater or the same position are its own. */
  startPosition: bigint;
  /** Job id, version, status before and after, in the order seen. */
  seen: string[];
  resumed: number;
  /** What ended it before its time. */
  failure: string | null;
  paused: boolean;
  stop(): Promise<void>;
}

export async function startWatcher(
  url: string,
  tenantId: string,
  token: string,
  status: "COMPLETED" | null,
  cursors: Cursors,
): Promise<ChaosWatcher> {
  const client = createAtlasClient({ url, tenantId, token });
  const { eventCursor: after } = await client.list({ first: 1 });
  const watcher: ChaosWatcher = {
    tenantId,
    status: status?.toLowerCase() ?? null,
    // Opaque to clients; the harness may look.
    startPosition: cursors.readEvent(tenantId, after).position,
    seen: [],
    resumed: 0,
    failure: null,
    paused: false,
    stop: async () => void (await changes.return?.()),
  };
  const changes = client.watch({
    after,
    ...(status !== null && { filter: { status: [status] } }),
    onState: (state) => {
      if (state === "resumed") watcher.resumed += 1;
    },
  });
  const read = async (): Promise<void> => {
    for await (const { jobId, version, previousStatus: from, status: to } of changes) {
      watcher.seen.push(nameOf(jobId, version, from, to));
      while (watcher.paused) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  read().catch((error: unknown) => (watcher.failure = String(error)));
  return watcher;
}

/** Names an event, alike for the table's and the watchers'. */
export function nameOf(jobId: string, version: number, from: string | null, to: string | null): string {
  return `${jobId} ${version} ${from?.toLowerCase() ?? "–"} ${to?.toLowerCase() ?? "–"}`;
}
