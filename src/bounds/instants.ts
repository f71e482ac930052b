const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * Says why an instant cannot be given to PostgreSQL; null when it can. Its years have four digits and begin with 1: the
 * ISO year 0 is its 1 BC, and an offset can carry an instant past either end.
 */
export function instantFault(instant: Date): string | null {
  const time = instant.getTime();
  if (Number.isNaN(time)) return "must be an ISO 8601 instant";
  return time < EARLIEST_MS || time > LATEST_MS ? "must be in the years 1–9999 (UTC)" : null;
}
