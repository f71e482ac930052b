import { type Client, createClient } from "graphql-ws";
import type { TestMember } from "./api.js";
import { until } from "./until.js";

/** A status change as a subscriber of these tests asks for it. */
interface SeenChange {
  cursor: string;
  jobId: string;
  version: number;
  previousStatus: string | null;
  status: string | null;
}

/** What a subscriber has seen so far. */
export interface Watcher {
  seen: SeenChange[];
  errors: { message: string; extensions: Record<string, unknown> }[];
  client: Client;
  /** Waits until so many changes have come. */
  count(changes: number): Promise<SeenChange[]>;
  stop(): void;
}

const SUBSCRIPTION = `subscription ($filter: JobStatusChangeFilter, $after: EventCursor) {
  jobStatusChanged(filter: $filter, after: $after) { cursor jobId version previousStatus status }
}`;

export function socketOf(wsUrl: string, member: Pick<TestMember, "token" | "tenantId">): Client {
  return createClient({
    url: wsUrl,
    connectionParams: { Authorization: `Bearer ${member.token}`, "X-Tenant-Id": member.tenantId },
  });
}

/** Subscribes over a socket of its own, or over `client`. */
export function watch(
  wsUrl: string,
  member: TestMember,
  variables: { filter?: Record<string, unknown>; after?: string } = {},
  client = socketOf(wsUrl, member),
): Watcher {
  const watcher: Watcher = {
    seen: [],
    errors: [],
    client,
    count: (changes) =>
      until(() => watcher.seen.length >= changes && watcher.seen, {
        what: `${changes} changes (${watcher.seen.length} came, errors: ${JSON.stringify(watcher.errors)})`,
      }),
    stop: client.subscribe<{ jobStatusChanged: SeenChange }>(
      { query: SUBSCRIPTION, variables },
      {
        next: ({ data, errors }) => {
          if (errors) watcher.errors.push(...(errors as unknown as Watcher["errors"]));
          if (data) watcher.seen.push(data.jobStatusChanged);
        },
        error: (error) => watcher.errors.push(...(Array.isArray(error) ? (error as Watcher["errors"]) : [])),
        complete: () => undefined,
      },
    ),
  };
  return watcher;
}
