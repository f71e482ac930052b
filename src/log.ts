import { pino, type Logger } from "pino";

export type { Logger };

/**
 * The process's structured logger: one JSON object a line on standard error, so that standard output stays free for
 * what a command answers. Children carry requestId, tenantId, jobId and attempt.
 */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ["token", "authorization", "password", "*.token", "*.authorization", "*.password"] },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
