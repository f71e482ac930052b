import type { Viewer } from "../auth/viewer.js";
import type { Logger } from "../log.js";

/** A change that a member made. */
type AuditAction = "job.create" | "job.delete" | "job.cancel" | "job.retry";

/** Writes down who changed what. */
export type Audit = (viewer: Viewer, action: AuditAction, jobIds: readonly string[]) => void;

/** A longer list takes several lines. */
const IDS_A_LINE = 100;

/** One line for each change, or for each hundred of its jobs, at any log level but `silent`. */
export function createAudit(log: Logger): Audit {
  const lines = log.child({ audit: true }, { level: log.level === "silent" ? "silent" : "info" });
  return ({ requestId, userId, tenantId }, action, jobIds) => {
    for (let from = 0; from < jobIds.length; from += IDS_A_LINE) {
      lines.info({ action, userId, tenantId, requestId, jobIds: jobIds.slice(from, from + IDS_A_LINE) }, "audit");
    }
  };
}
