import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { Logger } from "../log.js";

/** What a hint says may be worth a look: jobs to claim, running jobs to cancel, events to read. */
type Hint = "queued" | "canceling" | "events";

/**
 * Wake-ups between processes. A hint has no content and may be lost: its receiver reads the database, as it does each second
 * without one. Hints are sent after commit, on a connection of their own, at most once in 20 ms, as a commit with NOTIFY takes
 * a lock that the whole cluster shares. Its statements (NOTIFY, LISTEN, SHOW) are not planned, so that no setting, such as JIT,
 * makes them slow: they need no transaction that begins with ours.
 */
export interface Hints {
  /** Wakes this process's listeners at once and the other processes' soon. Never throws, never waits. */
  send(...hints: Hint[]): void;
  /** @returns what stops the listening. */
  on(hint: Hint, listener: () => void): () => void;
  close(): Promise<void>;
}

const HINTS: readonly Hint[] = ["queued", "canceling", "events"];
const SEND_INTERVAL_MS = 20;
const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
const CLOSE_BOUND_MS = 1_000;
const RECONNECT_MIN_MS = 250;
const RECONNECT_MAX_MS = 10_000;

/**
 * Opens the hints of a database.
 * @param url null: NOTIFY is off, and hints stay within the process.
 */
export function openHints(url: string | null, log: Logger): Hints {
  return url === null ? new LocalHints() : new DatabaseHints(url, log);
}

class LocalHints implements Hints {
  protected readonly listeners = new EventEmitter().setMaxListeners(0);

  send(...hints: Hint[]): void {
    for (const hint of hints) this.listeners.emit(hint);
  }

  on(hint: Hint, listener: () => void): () => void {
    this.listeners.on(hint, listener);
    return () => this.listeners.off(hint, listener);
  }

  close(): Promise<void> {
    this.listeners.removeAllListeners();
    return Promise.resolve();
  }
}

class DatabaseHints extends LocalHints {
  private client: Client | null = null;
  private closed = false;
  private failures = 0;
  private asking: Promise<void> | null = null;
  private readonly unsent = new Set<Hint>();
  private sentAt = -Infinity;
  private sendTimer: NodeJS.Timeout | null = null;
  private pingTimer: NodeJS.Timeout | null = null;
  private reconnectTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly url: string,
    private readonly log: Logger,
  ) {
    super();
    void this.connect();
  }

  override send(...hints: Hint[]): void {
    super.send(...hints);
    for (const hint of hints) this.unsent.add(hint);
    const waitMs = Math.max(this.sentAt + SEND_INTERVAL_MS - performance.now(), 0);
    this.sendTimer ??= setTimeout(() => this.flush(), waitMs).unref();
  }

  override async close(): Promise<void> {
    this.closed = true;
    for (const timer of [this.sendTimer, this.pingTimer, this.reconnectTimer]) if (timer !== null) clearTimeout(timer);
    this.flush();
    await this.asking;
    // A server that hangs does not answer the end of the connection.
    const ended = this.client?.end().catch(() => undefined);
    await Promise.race([ended, sleep(CLOSE_BOUND_MS, undefined, { ref: false })]);
    await super.close();
  }

  private flush(): void {
    this.sendTimer = null;
    // A statement is under way: the hints are sent after it.
    if (this.asking !== null) {
      if (!this.closed) this.sendTimer = setTimeout(() => this.flush(), SEND_INTERVAL_MS).unref();
      return;
    }
    const notify = [...this.unsent].map((hint) => `notify atlas_${hint}`);
    // Hints that cannot be sent are dropped: the receivers poll.
    this.unsent.clear();
    this.sentAt = performance.now();
    if (notify.length === 0) return;
    this.ask(`/* hints.send */ ${notify.join("; ")}`, (error) => this.log.debug({ err: error }, "a hint was not sent"));
  }

  /** Sends one statement at a time: the driver's next version refuses a second one on the same connection. */
  private ask(sql: string, failed: (error: unknown) => void): void {
    if (this.client === null || this.asking !== null) return;
    this.asking = this.client
      .query(sql)
      .then(() => undefined, failed)
      .finally(() => {
        this.asking = null;
      });
  }

  private async connect(): Promise<void> {
    const client = new Client({
      connectionString: this.url,
      application_name: "atlas-jobs hints",
      connectionTimeoutMillis: PING_TIMEOUT_MS,
      query_timeout: PING_TIMEOUT_MS,
      keepAlive: true,
    });
    let lost = false;
    const lose = (error?: unknown): void => {
      if (lost) return;
      lost = true;
      this.client = null;
      if (this.pingTimer !== null) clearInterval(this.pingTimer);
      client.end().catch(() => undefined);
      if (this.closed) return;
      const delayMs = Math.min(RECONNECT_MIN_MS * 2 ** this.failures++, RECONNECT_MAX_MS);
      this.log.warn({ err: error, delayMs }, "hints are down, polling meanwhile");
      this.reconnectTimer = setTimeout(() => void this.connect(), delayMs).unref();
    };
    client.on("error", lose);
    client.on("end", () => lose());
    client.on("notification", (message) => {
      if ("processID" in client && message.processId === client.processID) return;
      const hint = HINTS.find((known) => message.channel === `atlas_${known}`);
      if (hint !== undefined) this.listeners.emit(hint);
    });
    try {
      await client.connect();
      const listen = HINTS.map((hint) => `listen atlas_${hint}`);
      await client.query(`/* hints.listen */ ${["set idle_session_timeout to 0", ...listen].join("; ")}`);
    } catch (error) {
      lose(error);
      return;
    }
    if (this.closed) {
      lose();
      return;
    }
    this.client = client;
    this.failures = 0;
    // A half-open connection gives no error: only a ping without an answer shows it.
    this.pingTimer = setInterval(
      () => this.ask("/* hints.ping */ show server_version", lose),
      PING_INTERVAL_MS,
    ).unref();
    // Hints may have been missed until now.
    for (const hint of HINTS) this.listeners.emit(hint);
  }
}
