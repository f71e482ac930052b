/** Names one attempt of a job in the hands of one worker: the fence of every transition out of `running`. */
export interface HeldJob {
  tenantId: string;
  id: string;
  workerId: string;
  attempt: number;
}

/** The fence as a statement's first four parameters. */
export function fence(held: HeldJob): [string, string, string, number] {
  return [held.tenantId, held.id, held.workerId, held.attempt];
}

/** Matches the job only while that worker holds that attempt: no row means that the worker has lost it. */
export const FENCE = "tenant_id = $1 and id = $2 and status = 'running' and worker_id = $3 and attempt = $4";
