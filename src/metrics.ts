import { setTimeout as sleep } from "node:timers/promises";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Database } from "./database/database.js";
import { countByStatus } from "./queue/count-by-status.js";
import { JOB_STATUSES } from "./words.js";

/** What `/metrics` answers. */
export interface Metrics {
  /** Prometheus text; scrapes that come together share one. The jobs' gauge is left out while the database is away. */
  text(): Promise<{ contentType: string; body: string }>;
  /** @param route a template, never a path as requested: labels are bounded. */
  observeRequest(labels: { method: string; route: string; status: number }, seconds: number): void;
  /** Counts what a worker does, and how many jobs it runs; read at each scrape. */
  watchWorker(worker: { running: number; stats: Readonly<Record<string, number>> }): void;
  /**
   * How many subscriptions are attached to the feed, and how late it is; read at each scrape. The latter is left out while the
   * database is away.
   */
  watchFeed(feed: {
    tail: { size: number };
    feedDelay: { current: { watermarkAgeSeconds: number; lagSeconds: number } | null };
  }): void;
}

/** Shorter than a scrape's usual timeout: a database that hangs must not cost the operator the other metrics. */
const COUNT_TIMEOUT_MS = 2_000;

const DELAYS = [
  {
    name: "atlas_feed_watermark_age_seconds",
    help: "For how long the cluster's oldest open writing transaction has been seen, which holds back the feed",
    key: "watermarkAgeSeconds",
  },
  {
    name: "atlas_feed_lag_seconds",
    help: "How old the oldest change is that is committed and that the feed may not tell of yet",
    key: "lagSeconds",
  },
] as const;

/** Node's gauges that are named like counters, which promtool refuses; those without `_total` tell the same, by type. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `nodejs_active_${what}_total`);

export function createMetrics(database: Database): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const requests = new Histogram({
    name: "atlas_http_request_duration_seconds",
    help: "How long HTTP requests took",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  new Gauge({
    name: "atlas_jobs",
    help: "Jobs by status, all tenants together",
    labelNames: ["status"],
    registers,
    async collect() {
      const counts = await Promise.race([
        database.transaction({ role: "feed" }, countByStatus).catch(() => null),
        sleep(COUNT_TIMEOUT_MS, null, { ref: false }),
      ]);
      this.reset();
      if (counts === null) return;
      for (const status of JOB_STATUSES) this.set({ status }, counts.find((row) => row.status === status)?.count ?? 0);
    },
  });
  let scrape: Promise<string> | null = null;
  return {
    async text() {
      scrape ??= registry.metrics().finally(() => (scrape = null));
      return { contentType: registry.contentType, body: await scrape };
    },
    observeRequest: ({ method, route, status }, seconds) => {
      requests.observe({ method, route, status: String(status) }, seconds);
    },
    watchWorker(worker) {
      new Gauge({
        name: "atlas_worker_running_jobs",
        help: "Jobs that this worker runs now",
        registers,
        collect() {
          this.set(worker.running);
        },
      });
      new Counter({
        name: "atlas_worker_attempts_total",
        help: "What became of this worker's attempts: claimed, the status reached, or lost",
        labelNames: ["outcome"],
        registers,
        collect() {
          this.reset();
          for (const [outcome, count] of Object.entries(worker.stats)) this.inc({ outcome }, count);
        },
      });
    },
    watchFeed({ tail, feedDelay }) {
      new Gauge({
        name: "atlas_subscriptions",
        help: "Subscriptions attached to this process's feed",
        registers,
        collect() {
          this.set(tail.size);
        },
      });
      for (const { name, help, key } of DELAYS) {
        new Gauge({
          name,
          help,
          registers,
          collect() {
            if (feedDelay.current === null) this.remove();
            else this.set(feedDelay.current[key]);
          },
        });
      }
    },
  };
}
