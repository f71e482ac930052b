import { randomUUID } from "node:crypto";

/** A plain client's requests, at an even pace. */
export interface Load {
  /** The jobs that the service has accepted. */
  accepted: string[];
  /** How many requests were sent. */
  sent: number;
  /** Requests that did not come to the answer that a service at rest gives. */
  failed: string[];
  /** Sends no more, and waits for the last answers. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  url: string;
  tenantId: string;
  token: string;
  createsPerSecond: number;
  jobType: string;
}

const CREATE = "mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }";

/** Creates jobs, over REST and GraphQL in turn, and lists them after every tenth; it asks for nothing twice. */
export function startLoad({ url, tenantId, token, createsPerSecond, jobType }: LoadOptions): Load {
  const headers = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId, "content-type": "application/json" };
  const pending = new Set<Promise<void>>();
  const load: Load = {
    accepted: [],
    sent: 0,
    failed: [],
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
    },
  };
  const ask = (what: string, path: string, body: unknown, idOf: (answer: never) => string | undefined): void => {
    load.sent += 1;
    const init = body === null ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
    const asked = fetch(`${url}${path}`, init)
      .then(async (response) => {
        const text = await response.text();
        const id = response.status === 200 ? idOf(JSON.parse(text) as never) : undefined;
        if (id === undefined) load.failed.push(`${what}: ${response.status} ${text.slice(0, 200)}`);
        else if (body !== null) load.accepted.push(id);
      })
      .catch((error: Error) => void load.failed.push(`${what}: ${error.message} (${String(error.cause)})`))
      .finally(() => pending.delete(asked));
    pending.add(asked);
  };
  let turn = 0;
  const timer = setInterval(() => {
    turn += 1;
    const input = { jobType, input: { to: `${randomUUID()}@example.com` } };
    if (turn % 2 === 0) ask("POST /v1/jobs", "/v1/jobs", input, ({ id }: { id: string }) => id);
    else {
      type Created = { data?: { createJob: { job: { id: string } } } | null };
      const body = { query: CREATE, variables: { input } };
      ask("createJob", "/graphql", body, ({ data }: Created) => data?.createJob.job.id);
    }
    if (turn % 10 === 0) ask("GET /v1/jobs/list", "/v1/jobs/list", null, ({ ok }: { ok: boolean }) => String(ok));
  }, 1000 / createsPerSecond);
  return load;
}
