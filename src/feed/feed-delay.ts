import type { Database, Transaction } from "../database/database.js";
import type { Logger } from "../log.js";

const LOOK_MS = 2_000;
/** Our own transactions are shorter: a statement has 10 s, and most take milliseconds. */
const WARN_AFTER_SECONDS = 5;
const WARN_AGAIN_SECONDS = 60;

/** How late the feed is, as of the last look. */
interface Delay {
  /** For how long the oldest transaction that writes has been seen open, in seconds; 0: none is. */
  watermarkAgeSeconds: number;
  /** The age of the oldest event that is committed, but not sent to subscribers yet, in seconds; 0: there is none. */
  lagSeconds: number;
}

/**
 * Measures every two seconds how late the feed is. Events are sent in the order of their transactions, so one open writing
 * transaction anywhere in the cluster, even in another database, delays all events after it. Its session is written to the log.
 */
export class FeedDelay {
  private delay: Delay | null = null;
  /** The oldest open transaction's id, and since when it has been seen, as `performance.now()` counts. */
  private oldest: { xid: string; sinceMs: number; warnedAt: number | null } | null = null;
  private looking = false;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly database: Database,
    private readonly log: Logger,
  ) {
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** As of the last look; null: the database was away. */
  get current(): Delay | null {
    return this.delay;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      this.delay = this.measure(await this.database.transaction({ role: "feed" }, readLag));
      await this.warn(this.delay);
    } catch (error) {
      this.delay = null;
      this.log.debug({ err: error }, "the feed's delay could not be looked at");
    } finally {
      this.looking = false;
    }
  }

  private measure({ xid, open, lagSeconds }: Lag): Delay {
    if (!open) this.end();
    else if (this.oldest?.xid !== xid) {
      this.end();
      this.oldest = { xid, sinceMs: performance.now(), warnedAt: null };
    }
    const ageMs = this.oldest === null ? 0 : performance.now() - this.oldest.sinceMs;
    return { watermarkAgeSeconds: round(ageMs / 1000), lagSeconds: round(lagSeconds ?? 0) };
  }

  private async warn(delay: Delay): Promise<void> {
    const { oldest } = this;
    const age = delay.watermarkAgeSeconds;
    if (oldest === null || age < WARN_AFTER_SECONDS) return;
    if (oldest.warnedAt !== null && age - oldest.warnedAt < WARN_AGAIN_SECONDS) return;
    // As the login: PostgreSQL shows it the times of its own sessions, which the feed's role does not see.
    const holders = await this.database.queryAsLogin<object>(HOLDERS, [oldest.xid]);
    if (holders.length === 0) return;
    oldest.warnedAt = age;
    this.log.warn({ ...delay, holders }, "an open transaction holds back the feed: changes are sent once it ends");
  }

  private end(): void {
    if (this.oldest !== null && this.oldest.warnedAt !== null) this.log.info("the feed is held back no longer");
    this.oldest = null;
  }
}

interface Lag {
  xid: string;
  open: boolean;
  lagSeconds: number | null;
}

async function readLag(tx: Transaction): Promise<Lag> {
  const [lag] = await tx.query<Lag>(LAG, [tx.watermark.toString()]);
  if (lag === undefined) throw new Error("feed.lag gave no row");
  return lag;
}

const LAG = `/* feed.lag */
select pg_snapshot_xmin(snapshot)::text as xid, pg_snapshot_xmin(snapshot) < pg_snapshot_xmax(snapshot) as open,
  (
    select extract(epoch from clock_timestamp() - occurred_at)::float8
    from job_events where position >= $1::bigint order by position, id limit 1
  ) as "lagSeconds"
from pg_current_snapshot() snapshot`;

/*
 * The sessions that have this transaction id, without their statements' texts, which may hold secrets. Of another login's session
 * PostgreSQL shows the id, the database and the names, and the times only where our login is a member of pg_read_all_stats. An xid
 * is the lower half of an xid8.
 */
const HOLDERS = `/* feed.holders */
select pid, datname as database, usename as "user", application_name as "applicationName", state,
  round(extract(epoch from clock_timestamp() - xact_start), 1)::float8 as "transactionSeconds",
  round(extract(epoch from clock_timestamp() - query_start), 1)::float8 as "querySeconds", null as prepared
from pg_stat_activity where backend_xid::text::bigint = $1::bigint % (1::bigint << 32)
union all
select null, database, owner, null, 'prepared', round(extract(epoch from clock_timestamp() - prepared), 1)::float8, null, gid
from pg_prepared_xacts where transaction::text::bigint = $1::bigint % (1::bigint << 32)`;

function round(seconds: number): number {
  return Math.max(Math.round(seconds * 10) / 10, 0);
}
