import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAtlasClient } from "../../src/client/index.js";
import { createTestDatabase } from "../support/database.js";
import { serviceMember, startService } from "../support/service.js";

/** Debian has it in its package prometheus. */
const installed = spawnSync("promtool", ["--version"]).status === 0;

(installed ? describe : describe.skip)("promtool", () => {
  it("has nothing to say about the metrics of a service at work", async () => {
    const own = await createTestDatabase();
    const folder = await mkdtemp(join(tmpdir(), "atlas-promtool-"));
    const member = await serviceMember(own);
    const service = await startService({ DATABASE_URL: own.url, DATA_DIR: folder });
    const client = createAtlasClient({ url: service.url, tenantId: member.tenantId, token: member.token });
    const { eventCursor } = await client.list();
    await client.enqueue({ jobType: "EMAIL_SEND", input: { to: "a@example.com" } });
    for await (const { status } of client.watch({ after: eventCursor })) if (status === "COMPLETED") break;
    await fetch(`${service.url}/nowhere`);

    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    for (const metric of ['atlas_jobs{status="completed"} 1', "atlas_worker_attempts_total", 'status="404"'])
      expect(metrics).toContain(metric);
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: metrics,
      encoding: "utf8",
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });

    await service.end("SIGTERM");
    await rm(folder, { recursive: true });
  });
});
