import { randomUUID } from "node:crypto";
import type { NewJob } from "../../src/queue/enqueue.js";

/** A job to enqueue, of type A and with its type's settings but for what is given. */
export function newJob(given: Partial<NewJob> = {}): NewJob {
  return {
    id: randomUUID(),
    jobType: "A",
    priority: 0,
    input: {},
    runAt: null,
    maxAttempts: null,
    timeoutMs: null,
    idempotencyKey: null,
    ...given,
  };
}
