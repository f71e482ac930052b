import { type Client, createClient } from "graphql-ws";
import { AtlasClientError, type ToldError, toClientError } from "./client-error.js";
import { readNumber } from "./exact-json.js";
import { ERROR_FIELDS, type JobStatus, type JobStatusChange } from "./jobs.js";
import { backOffMs, pause } from "./pause.js";
import type { Requests } from "./requests.js";

/** Connected for the first time; trying to connect again; connected again, nothing missed. */
export type WatchState = "live" | "reconnecting" | "resumed";

export interface WatchOptions {
  /** Start after this event cursor; default: from now on. */
  after?: string;
  filter?: { jobId?: string[]; jobType?: string[]; status?: JobStatus[] };
  /** Ends the watch. */
  signal?: AbortSignal;
  onState?: (state: WatchState) => void;
}

export interface WatchTarget {
  url: string;
  tenantId: string;
  requests: Requests;
  webSocketImpl: unknown;
}

/** Why a connection's subscription has ended. */
type End = { kind: "full" | "lost" | "refused" } | { kind: "failed"; error: AtlasClientError };

const BUFFER_SIZE = 1_000;
const REMEMBERED_JOBS = 10_000;
const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 5_000;
/** After so many refusals in a row, each with a fresh token, there is nothing left to try. */
const MAX_REFUSALS = 3;
const PING_MS = 10_000;
const PONG_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

const HEAD = `query Head { jobs(first: 1) { eventCursor } }`;
const CHANGES = `subscription Watch($filter: JobStatusChangeFilter, $after: EventCursor) {
  jobStatusChanged(filter: $filter, after: $after) {
    cursor jobId version attempt occurredAt previousStatus status
    job { id jobType status output ${ERROR_FIELDS} }
  }
}`;

/**
 * Status changes, across lost connections: it connects again, with a fresh token, after the last change that came. What
 * the consumer has not taken is kept, up to a thousand; then it stops reading, and goes on once they are taken.
 */
export class Watch implements AsyncIterableIterator<JobStatusChange, undefined> {
  private buffer: JobStatusChange[] = [];
  private readonly versions = new Map<string, number>();
  private readonly ending = new AbortController();
  /** Calls of `next` that wait, in order. */
  private consumers: (() => void)[] = [];
  private wakeReader = (): void => undefined;
  private failure: Error | null = null;
  private running: Promise<void> | null = null;
  private after: string | null;
  private state: WatchState | null = null;

  constructor(
    private readonly target: WatchTarget,
    private readonly options: WatchOptions,
  ) {
    this.after = options.after ?? null;
    const { signal } = options;
    if (signal?.aborted === true) this.end();
    signal?.addEventListener("abort", () => this.end(), { once: true, signal: this.ending.signal });
  }

  /** @throws AtlasClientError what no new connection can mend: `CURSOR_EXPIRED` with `headCursor`, `FORBIDDEN` … */
  async next(): Promise<IteratorResult<JobStatusChange, undefined>> {
    this.running ??= this.run();
    for (;;) {
      const change = this.buffer.shift();
      if (change !== undefined) return { done: false, value: change };
      if (this.failure !== null) {
        const { failure } = this;
        this.failure = null;
        this.end();
        throw failure;
      }
      if (this.ending.signal.aborted) return { done: true, value: undefined };
      this.wakeReader();
      await new Promise<void>((resolve) => this.consumers.push(resolve));
    }
  }

  return(): Promise<IteratorResult<JobStatusChange, undefined>> {
    this.buffer = [];
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private end(): void {
    this.ending.abort();
    this.wakeReader();
    this.wakeConsumers();
  }

  private wakeConsumers(): void {
    for (const wake of this.consumers.splice(0)) wake();
  }

  private async run(): Promise<void> {
    const { signal } = this.ending;
    try {
      // There must be a cursor to resume after, also when the connection is lost before the first change.
      this.after ??= (await this.target.requests.ask<{ eventCursor: string }>(HEAD, {}, signal)).eventCursor;
      let failures = 0;
      let refusals = 0;
      while (!signal.aborted) {
        const before = this.after;
        const end = await this.connect(refusals > 0, () => (refusals = 0));
        if (end.kind === "failed") throw end.error;
        if (end.kind === "refused" && ++refusals >= MAX_REFUSALS) {
          throw new AtlasClientError("FORBIDDEN", "The service refuses the token, or its user is no member");
        }
        if (end.kind === "full") await this.drained();
        failures = this.after === before ? failures + 1 : 0;
        if (end.kind !== "full") await pause(backOffMs(failures, FIRST_WAIT_MS, MAX_WAIT_MS), signal);
      }
    } catch (error) {
      if (!signal.aborted) this.failure = error instanceof Error ? error : new Error(String(error));
    }
    this.wakeConsumers();
  }

  /** Reads over one connection until it ends. */
  private async connect(refresh: boolean, onConnected: () => void): Promise<End> {
    const { url, tenantId, requests, webSocketImpl } = this.target;
    let token: string;
    try {
      token = await requests.token(refresh);
    } catch (error) {
      // Where tokens come from is away when the network is; at the first connection it may as well be wrong.
      if (this.state === null) throw error;
      return { kind: "lost" };
    }
    // Ended while it waited: nobody would close the socket.
    if (this.ending.signal.aborted) return { kind: "lost" };
    let finish: (end: End) => void = () => undefined;
    const finished = new Promise<End>((resolve) => (finish = resolve));
    const slow = setTimeout(() => finish({ kind: "lost" }), CONNECT_TIMEOUT_MS);
    let lost = false;
    let socket: WebSocket | undefined;
    const client = createClient({
      url: `${url.replace(/^http/, "ws")}/graphql`,
      webSocketImpl: told(webSocketImpl, (made) => (socket = made)),
      connectionParams: { authorization: `Bearer ${token}`, "x-tenant-id": tenantId },
      retryAttempts: 0,
      keepAlive: PING_MS,
      jsonMessageReviver: readNumber,
      on: {
        connected: () => {
          onConnected();
          clearTimeout(slow);
          if (lost) return;
          if (this.state === null) this.tell("live");
          if (this.state === "reconnecting") this.tell("resumed");
        },
      },
    });
    endHalfOpen(client);
    const stop = (): void => finish({ kind: "lost" });
    this.ending.signal.addEventListener("abort", stop, { once: true });
    const unsubscribe = client.subscribe<{ jobStatusChanged: JobStatusChange }>(
      { query: CHANGES, variables: { filter: this.options.filter ?? null, after: this.after } },
      {
        next: ({ data, errors }) => {
          if (errors?.[0] !== undefined) finish(endOf(toClientError(errors[0])));
          else if (data != null && !lost && this.receive(data.jobStatusChanged)) finish({ kind: "full" });
        },
        error: (thrown) => finish(endOfThrown(thrown)),
        complete: () => finish({ kind: "lost" }),
      },
    );
    const ended = await finished;
    // What still comes is read again after the last change received.
    lost = true;
    this.ending.signal.removeEventListener("abort", stop);
    clearTimeout(slow);
    unsubscribe();
    // Not `dispose`: its promise waits for an acknowledgement, for ever or until it rejects.
    socket?.close();
    const reconnects = (ended.kind === "lost" || ended.kind === "refused") && !this.ending.signal.aborted;
    if (reconnects && this.state !== null && this.state !== "reconnecting") this.tell("reconnecting");
    return ended;
  }

  /** @returns whether the buffer is full. */
  private receive(change: JobStatusChange): boolean {
    if (this.buffer.length >= BUFFER_SIZE) return true;
    this.after = change.cursor;
    const { jobId, version } = change;
    const known = this.versions.get(jobId) ?? 0;
    if (version <= known) return false;
    // Deleted and set anew, so that the map's order is that of use.
    this.versions.delete(jobId);
    this.versions.set(jobId, version);
    if (this.versions.size > REMEMBERED_JOBS) {
      const [oldest] = this.versions.keys();
      if (oldest !== undefined) this.versions.delete(oldest);
    }
    this.buffer.push(change);
    this.wakeConsumers();
    return this.buffer.length >= BUFFER_SIZE;
  }

  private async drained(): Promise<void> {
    while (this.buffer.length > 0 && !this.ending.signal.aborted) {
      await new Promise<void>((resolve) => (this.wakeReader = resolve));
    }
  }

  private tell(state: WatchState): void {
    this.state = state;
    this.options.onState?.(state);
  }
}

/** A WebSocket class that tells of each socket as it is made: graphql-ws shows only those that have opened. */
function told(webSocketImpl: unknown, onMade: (socket: WebSocket) => void): unknown {
  return class extends (webSocketImpl as typeof WebSocket) {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      onMade(this);
    }
  };
}

/** A connection whose other end is gone without a word answers no ping. */
function endHalfOpen(client: Client): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  client.on("ping", (received) => {
    if (received) return;
    clearTimeout(timer);
    timer = setTimeout(() => client.terminate(), PONG_TIMEOUT_MS);
  });
  client.on("pong", () => clearTimeout(timer));
  client.on("closed", () => clearTimeout(timer));
}

/** Slow or away: the next connection goes on where this one ended. */
function endOf(error: AtlasClientError): End {
  return error.code === "SLOW_CONSUMER" || error.code === "UNAVAILABLE" ? { kind: "lost" } : { kind: "failed", error };
}

function endOfThrown(thrown: unknown): End {
  if (Array.isArray(thrown) && thrown[0] !== undefined) return endOf(toClientError(thrown[0] as ToldError));
  const { code, reason } = Object(thrown) as { code?: unknown; reason?: unknown };
  if (code === 4401 || code === 4403) return { kind: "refused" };
  if (code === 4400) {
    return { kind: "failed", error: new AtlasClientError("BAD_USER_INPUT", String(reason), {}, { cause: thrown }) };
  }
  return { kind: "lost" };
}
