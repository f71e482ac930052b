import { hostname } from "node:os";
import { pino, type Logger } from "pino";

export type { Logger };

/**
 * The process's structured logger: one JSON object a line on standard error, so that standard output stays free for
 * what a command answers. Children carry requestId, tenantId, jobId and attempt.
 * @param role what the process does, on each line beside its host and id; null: it is not named.
 */
export function createLogger(level: string, role: string | null = null): Logger {
  return pino(
    {
      level,
      base: { host: hostname(), pid: process.pid, ...(role !== null && { role }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ["token", "authorization", "password", "*.token", "*.authorization", "*.password"] },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
