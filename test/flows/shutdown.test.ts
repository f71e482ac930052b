import { once } from "node:events";
import http from "node:http";
import { createTestDatabase } from "../support/database.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { startApi } from "../support/api.js";
import { startService } from "../support/service.js";
import { atEnd } from "../support/use.js";

describe("a shutdown", () => {
  it("lets a GraphQL request that has begun come to its answer", async () => {
    const api = await startApi();
    const { headers } = await api.member();
    const body = JSON.stringify({ query: "{ viewer { userId } }" });
    const request = http.request(`${api.url}/graphql`, {
      method: "POST",
      headers: { ...headers, "content-length": body.length, expect: "100-continue" },
    });
    const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
    request.flushHeaders();
    await once(request, "continue");
    const closing = api.close();
    request.end(body);
    const [response] = await answered;
    let text = "";
    for await (const chunk of response) text += String(chunk);
    expect([response.statusCode, text]).toEqual([200, expect.stringContaining("userId")]);
    await closing;
  });

  it("ends though the database hangs", async () => {
    const own = await createTestDatabase();
    const proxy = await openDatabaseProxy(own.url);
    atEnd(() => proxy.close());
    const service = await startService({ DATABASE_URL: proxy.url, ROLE: "api", SHUTDOWN_GRACE_MS: "500" });
    proxy.set("hang");
    const exit = once(service.child, "exit");
    service.child.kill("SIGTERM");
    expect((await exit)[0]).toBe(0);
  });
});
