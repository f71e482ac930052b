import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createAtlasClient } from "../../dist/client/index.js";

const TYPES = ["QUICK", "QUICK", "QUICK", "QUICK", "QUICK", "SLOW", "FLAKY", "STUBBORN"] as const;

/** Creates jobs, and now and then cancels, retries or deletes one, until it is stopped. */
export interface Producer {
  tenantId: string;
  /** The jobs that the service has accepted. */
  accepted: string[];
  /** Resolves when the last create has its answer. */
  stop(): Promise<void>;
}

export function startProducer(urls: string[], tenantId: string, token: string, random: () => number): Producer {
  const clients = urls.map((url) => createAtlasClient({ url, tenantId, token }));
  const accepted: string[] = [];
  let stopped = false;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const jobType = TYPES[Math.floor(random() * TYPES.length)] ?? "QUICK";
      const idempotencyKey = randomUUID();
      // Whatever happens, it asks until it has an answer, at one process or the other.
      for (;;) {
        const client = clients[Math.floor(random() * clients.length)];
        const answer = await client?.enqueue({ jobType, idempotencyKey }).catch(() => null);
        if (answer == null) continue;
        accepted.push(answer.job.id);
        break;
      }
      if (random() < 0.1) await change();
      await sleep(100);
    }
  };
  // Its answer does not matter: the tables say what came of it.
  const change = async (): Promise<void> => {
    const id = accepted[Math.floor(random() * accepted.length)];
    const routes = [`POST /${id}/cancel`, `POST /${id}/retry`, `DELETE /${id}`];
    const [method = "", path = ""] = routes[Math.floor(random() * routes.length)]?.split(" ") ?? [];
    const headers = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId };
    await fetch(`${urls[0]}/v1/jobs${path}`, { method, headers, signal: AbortSignal.timeout(5_000) }).catch(() => null);
  };
  const over = run();
  return {
    tenantId,
    accepted,
    stop: () => {
      stopped = true;
      return over;
    },
  };
}
