/** How often a worker does what, and how long it waits, in milliseconds. */
export interface WorkerIntervals {
  /** Between two looks for jobs where no hint comes. */
  pollMs: number;
  beatMs: number;
  /** After this time without a successful beat a worker takes its jobs for lost, and claims none. */
  silentMs: number;
  /** After this time without a beat the others take a worker for dead. Longer than `silentMs`, so that it has stopped by then. */
  deadMs: number;
  makeDueMs: number;
  rescueMs: number;
  foldMs: number;
  markCompleteMs: number;
  pruneMs: number;
  /** Looks for job types that no worker handles. */
  unhandledMs: number;
  /** How long a handler whose signal has fired is waited for. */
  cutOffMs: number;
  /** The first wait after a failure of the database; it doubles up to `retryMaxMs`. */
  retryMinMs: number;
  retryMaxMs: number;
}

export const INTERVALS: Readonly<WorkerIntervals> = {
  pollMs: 1_000,
  beatMs: 3_000,
  silentMs: 8_000,
  deadMs: 10_000,
  makeDueMs: 1_000,
  rescueMs: 1_000,
  foldMs: 10_000,
  markCompleteMs: 1_000,
  pruneMs: 60_000,
  unhandledMs: 60_000,
  cutOffMs: 5_000,
  retryMinMs: 100,
  retryMaxMs: 5_000,
};
