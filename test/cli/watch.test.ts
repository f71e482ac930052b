import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { startApi } from "../support/api.js";
import { call } from "../rest/call.js";

it("watch tells a change's own status from the one that its job has by then", async () => {
  const api = await startApi();
  const { tenantId, token, headers } = await api.member();
  const created = await call(api, "POST", "/v1/jobs", headers, { jobType: "A" });
  await call(api, "POST", `/v1/jobs/${created.body.id}/cancel`, headers);
  const after = created.headers.get("x-event-cursor") ?? "";
  const args = ["watch", "--url", api.url, "--tenant", tenantId, "--token", token, "--after", after];
  const child = spawn(process.execPath, ["dist/cli/main.js", ...args], { stdio: ["ignore", "pipe", "ignore"] });
  const lines: unknown[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(line));
    if (lines.length === 2) break;
  }
  child.kill("SIGTERM");
  await once(child, "exit");
  const jobNow = expect.objectContaining({ id: created.body.id, status: "CANCELED" }) as object;
  const fields = ["cursor", "jobId", "version", "attempt", "occurredAt", "previousStatus", "status", "jobNow"];
  expect(lines).toEqual([
    expect.objectContaining({ version: 1, status: "QUEUED", jobNow }),
    expect.objectContaining({ version: 2, status: "CANCELED", jobNow }),
  ]);
  expect(lines.map((line) => Object.keys(line as object))).toEqual([fields, fields]);
});
