import { EventSource } from "eventsource";
import { createAtlasClient } from "../../dist/client/index.js";
import { CLIENT_NAMES, type ClientName, startDocumentedClient } from "../support/documented-clients.ts";

interface Change {
  jobId: string;
  version: number;
}

/** Somebody who watches a tenant's jobs as the documentation has it. */
export interface RollingWatcher {
  name: string;
  /** In the order that they came. */
  seen: Change[];
  /** What ended it before its time; null: nothing. */
  failure: string | null;
  stop(): void;
}

interface Watched {
  url: string;
  tenantId: string;
  token: string;
}

interface Watching extends Watched {
  /** The cursor to begin after. */
  after: string;
  signal: AbortSignal;
  onChange: (change: Change) => void;
}

const KINDS: Record<string, (watching: Watching) => Promise<void>> = {
  "atlas-jobs/client": watchWithClient,
  ...Object.fromEntries(CLIENT_NAMES.map((name) => [name, watchAsDocumented(name)])),
  "server-sent events": watchStream,
};

/** One watcher of each kind, which sees every change from now on. */
export async function startWatchers(watched: Watched): Promise<RollingWatcher[]> {
  const { eventCursor: after } = await createAtlasClient(watched).list({ first: 1 });
  return Object.entries(KINDS).map(([name, watch]) => {
    const ending = new AbortController();
    const watcher: RollingWatcher = { name, seen: [], failure: null, stop: () => ending.abort() };
    const onChange = ({ jobId, version }: Change): void => void watcher.seen.push({ jobId, version });
    watch({ ...watched, after, onChange, signal: ending.signal }).then(
      () => ending.signal.aborted || (watcher.failure = "it ended"),
      (error: unknown) => ending.signal.aborted || (watcher.failure = String(error)),
    );
    return watcher;
  });
}

async function watchWithClient({ url, tenantId, token, after, signal, onChange }: Watching): Promise<void> {
  for await (const change of createAtlasClient({ url, tenantId, token }).watch({ after, signal })) onChange(change);
}

/** As it is copied from the page, in a process of its own. */
function watchAsDocumented(name: ClientName): (watching: Watching) => Promise<void> {
  return async ({ token, after, signal, onChange, ...watched }) => {
    const tokenUrl = `data:,${token}`;
    const onLine = (line: string): void => {
      const [jobId = "", version] = line.split(" ");
      onChange({ jobId, version: Number(version) });
    };
    const client = startDocumentedClient(name, { ...watched, eventCursor: after, tokenUrl, onLine });
    signal.addEventListener("abort", () => client.kill());
    throw new Error(await client.ended);
  };
}

/** A stream that ends is asked for again, by the package itself; an answer other than 200 ends it for good. */
async function watchStream({ url, tenantId, token, after, signal, onChange }: Watching): Promise<void> {
  const source = new EventSource(`${url}/v1/jobs/events?after=${after}`, {
    fetch: (address, init) =>
      fetch(address, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${token}`, "x-tenant-id": tenantId },
      }),
  });
  await new Promise<void>((resolve, reject) => {
    signal.addEventListener("abort", () => {
      source.close();
      resolve();
    });
    source.addEventListener("message", ({ data }) => onChange(JSON.parse(data as string) as Change));
    source.addEventListener("error", ({ code, message }) => {
      if (source.readyState === source.CLOSED) reject(new Error(`${code} ${message}`));
    });
  });
}
