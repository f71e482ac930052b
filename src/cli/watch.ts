import { once } from "node:events";
import { createAtlasClient } from "../client/index.js";
import { type Command, UsageError } from "./command.js";

const ORPHAN_CHECK_MS = 500;

export const watchCommand: Command = {
  name: "watch",
  about:
    "print each status change of a tenant's jobs as a line of JSON, with the job as it is then (jobNow), until interrupted",
  options: {
    tenant: { value: "UUID", required: true, about: "the tenant" },
    token: { value: "TOKEN", required: true, about: "a member's token" },
    url: { value: "URL", about: "the service (http://HOST:PORT as set here)" },
    after: { value: "CURSOR", about: "start after this event cursor (now)" },
  },
  async run(options, { config }) {
    const { tenant = "", token = "", after, url = `http://${config.host}:${config.port}` } = options;
    if (!URL.canParse(url)) throw new UsageError("--url must be a URL");
    const interrupted = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interrupted.abort());
    // npm, told to end, does not pass it on: its shell goes, and leaves this process to another parent.
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && interrupted.abort(), ORPHAN_CHECK_MS).unref();
    const changes = createAtlasClient({ url, tenantId: tenant, token }).watch({
      ...(after !== undefined && { after }),
      signal: interrupted.signal,
      onState: (state) => process.stderr.write(state === "live" ? `Watching ${url}\n` : `${state}\n`),
    });
    for await (const { job, ...change } of changes) {
      // A change that is told late stands beside a job that has gone on: two statuses, which must not be taken for one another.
      if (!process.stdout.write(`${JSON.stringify({ ...change, jobNow: job })}\n`)) await once(process.stdout, "drain");
    }
    return null;
  },
};
