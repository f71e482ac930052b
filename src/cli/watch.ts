import { once } from "node:events";
import { createClient } from "graphql-ws";
import { type Command, UsageError } from "./command.js";

const ORPHAN_CHECK_MS = 500;

const CHANGES = `subscription Watch($after: EventCursor) {
  jobStatusChanged(after: $after) {
    cursor jobId version attempt previousStatus status occurredAt job { jobType output error { code message } }
  }
}`;

export const watchCommand: Command = {
  name: "watch",
  about: "print each status change of a tenant's jobs as a line of JSON, until interrupted",
  options: {
    tenant: { value: "UUID", required: true, about: "the tenant" },
    token: { value: "TOKEN", required: true, about: "a member's token" },
    url: { value: "URL", about: "the service (http://HOST:PORT as set here)" },
    after: { value: "CURSOR", about: "start after this event cursor (now)" },
  },
  async run(options, { config }) {
    const { tenant = "", token = "", after, url = `http://${config.host}:${config.port}` } = options;
    if (!URL.canParse(url)) throw new UsageError("--url must be a URL");
    const endpoint = new URL("/graphql", url);
    endpoint.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";
    const client = createClient({
      url: endpoint.href,
      connectionParams: { authorization: `Bearer ${token}`, "x-tenant-id": tenant },
      retryAttempts: 0,
    });
    const interrupted = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interrupted.abort());
    // npm, told to end, does not pass it on: its shell goes, and leaves this process to another parent.
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && interrupted.abort(), ORPHAN_CHECK_MS).unref();
    const changes = client.iterate<{ jobStatusChanged: unknown }>({
      query: CHANGES,
      variables: { after: after ?? null },
    });
    interrupted.signal.addEventListener("abort", () => void changes.return?.());
    client.on("connected", () => process.stderr.write(`Watching ${endpoint.href}\n`));
    for await (const { data, errors } of changes) {
      if (errors !== undefined) throw new Error(errors.map((error) => error.message).join("; "));
      if (!process.stdout.write(`${JSON.stringify(data?.jobStatusChanged)}\n`)) await once(process.stdout, "drain");
    }
    await client.dispose();
    return null;
  },
};
