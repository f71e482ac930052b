import { setTimeout as sleep } from "node:timers/promises";
import {
  type AtlasClient,
  AtlasClientError,
  createAtlasClient,
  type JobStatusChange,
} from "../../dist/client/index.js";
import type { Cursors } from "../../dist/services/cursors.js";
import { EVENT_PLACE } from "../../dist/services/event-place.js";
import type { Position } from "../../dist/feed/position.js";

/** What a watcher saw after one list, until its cursor had expired or the run was over. */
export interface Leg {
  /** It began after this place: events from here on are its own. */
  start: Position;
  /** When it asked for the list (ms since 1970). */
  startedAt: number;
  seen: Seen[];
  /** It was told that its cursor has expired, and listed again. */
  expired: boolean;
}

interface Seen extends Position {
  jobId: string;
  version: number;
  previousStatus: string | null;
  status: string | null;
}

/** A client that watches a tenant through everything, and keeps what it has seen. */
export interface ChaosWatcher {
  tenantId: string;
  /** null: every status. */
  status: string | null;
  legs: Leg[];
  /** The tenant's jobs as it believes them to be, by id; null: it keeps none. A deleted job has no status. */
  rows: Map<string, { version: number; status: string | null }> | null;
  resumed: number;
  /** What ended it before its time. */
  failure: string | null;
  paused: boolean;
  stop(): Promise<void>;
}

export interface WatcherOptions {
  url: string;
  tenantId: string;
  token: string;
  status: "COMPLETED" | null;
  /** Whether it lists all jobs and keeps them up to date, as a front end does. */
  keepsRows: boolean;
  /** Opaque to clients; the harness may look. */
  cursors: Cursors;
}

const PAGE = 200;
const AGAIN_MS = 200;

/** Resolves when it has listed and is about to watch. */
export async function startWatcher({
  url,
  tenantId,
  token,
  status,
  ...options
}: WatcherOptions): Promise<ChaosWatcher> {
  const client = createAtlasClient({ url, tenantId, token });
  const { keepsRows, cursors } = options;
  const ending = new AbortController();
  const watcher: ChaosWatcher = {
    tenantId,
    status: lower(status),
    legs: [],
    rows: keepsRows ? new Map() : null,
    resumed: 0,
    failure: null,
    paused: false,
    stop: async () => {
      ending.abort();
      await over;
    },
  };

  const take = ({ cursor, ...change }: JobStatusChange): void => {
    const { jobId, version } = change;
    const [previousStatus, to] = [lower(change.previousStatus), lower(change.status)];
    const place = cursors.open(EVENT_PLACE, tenantId, cursor);
    watcher.legs.at(-1)?.seen.push({ ...place, jobId, version, previousStatus, status: to });
    if ((watcher.rows?.get(jobId)?.version ?? 0) < version) watcher.rows?.set(jobId, { version, status: to });
  };
  /** @returns the cursor to watch after. */
  const list = async (): Promise<string> => {
    const startedAt = Date.now();
    watcher.rows?.clear();
    const after = await listAll(client, watcher.rows);
    watcher.legs.push({ start: cursors.open(EVENT_PLACE, tenantId, after), startedAt, seen: [], expired: false });
    return after;
  };
  const watch = async (after: string): Promise<void> => {
    const changes = client.watch({
      after,
      signal: ending.signal,
      ...(status !== null && { filter: { status: [status] } }),
      onState: (state) => {
        if (state === "resumed") watcher.resumed += 1;
      },
    });
    for await (const change of changes) {
      take(change);
      while (watcher.paused) await sleep(20);
    }
  };
  const read = async (first: string): Promise<void> => {
    for (let after = first; ; after = await list()) {
      try {
        return await watch(after);
      } catch (error) {
        if (!(error instanceof AtlasClientError) || error.code !== "CURSOR_EXPIRED") throw error;
        Object.assign(watcher.legs.at(-1) ?? {}, { expired: true });
      }
    }
  };
  const over = read(await list()).catch((error: unknown) => {
    watcher.failure = String(error);
  });
  return watcher;
}

/** Lists the tenant's jobs into `rows`, or, for null, nothing but the cursor. @returns the event cursor of the first page. */
async function listAll(client: AtlasClient, rows: ChaosWatcher["rows"]): Promise<string> {
  let cursor: string | null = null;
  for (let after: string | null = null; ;) {
    const page = await listPage(client, { first: rows === null ? 1 : PAGE, ...(after !== null && { after }) });
    cursor ??= page.eventCursor;
    if (rows === null) return cursor;
    for (const { id, version, status } of page.jobs) rows.set(id, { version, status: status.toLowerCase() });
    if (!page.pageInfo.hasNextPage) return cursor;
    after = page.pageInfo.endCursor;
  }
}

/** However long the service is away: a front end would ask again. */
async function listPage(client: AtlasClient, page: { first: number; after?: string }) {
  for (;;) {
    try {
      return await client.list(page);
    } catch (error) {
      if (!(error instanceof AtlasClientError) || !["UNREACHABLE", "UNAVAILABLE"].includes(error.code)) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

function lower(status: string | null): string | null {
  return status?.toLowerCase() ?? null;
}
