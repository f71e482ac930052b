import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ConfigError } from "../../src/config.js";
import { call } from "../rest/call.js";
import { serve, type Served } from "./server-rig.js";

describe("listen", () => {
  it("says which setting is at fault when the port is taken", async () => {
    const { port } = await serve();
    const second = serve(undefined, { port });
    await expect(second).rejects.toThrow(ConfigError);
    await expect(second).rejects.toThrow(new RegExp(`PORT ${port}.*EADDRINUSE`));
  });
});

describe("close", () => {
  /** A server whose requests wait until they are let go. */
  async function serveWaiting(answer: Buffer): Promise<Served & { arrived: Promise<void>; letGo: () => void }> {
    const arrived = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const served = await serve(async (_request, response) => {
      arrived.resolve();
      await go.promise;
      response.type("application/octet-stream").end(answer);
    });
    return { ...served, arrived: arrived.promise, letGo: go.resolve };
  }

  const agent = new http.Agent({ keepAlive: true });
  afterAll(() => agent.destroy());

  async function get(url: string): Promise<http.IncomingMessage> {
    const request = http.get(url, { agent });
    return ((await once(request, "response")) as [http.IncomingMessage])[0];
  }

  async function lengthOf(response: http.IncomingMessage): Promise<number> {
    let length = 0;
    for await (const chunk of response) length += (chunk as Buffer).length;
    return length;
  }

  it("lets a request in flight end, tells its client not to come back, and does not wait for keep-alive", async () => {
    const { url, server, arrived, letGo } = await serveWaiting(Buffer.from("done"));
    const answer = get(`${url}/graphql`);
    await arrived;
    const begun = performance.now();
    const closed = server.close(20_000);
    letGo();
    const response = await answer;
    expect(response.headers.connection).toBe("close");
    expect(await lengthOf(response)).toBe(4);
    await closed;
    // A connection kept alive would last for 75 s.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it("does not cut off an answer that is still on its way to a slow reader", async () => {
    const size = 40 * 1024 * 1024;
    const { url, server, letGo } = await serveWaiting(Buffer.alloc(size));
    letGo();
    const response = await get(`${url}/graphql`);
    const closed = server.close(20_000);
    // The server has had its turn to end the connection before anything is read.
    for (let turns = 0; turns < 20; turns += 1) await nextTurn();
    expect(await lengthOf(response)).toBe(size);
    const read = performance.now();
    await closed;
    // Its answer was begun before the close, so the connection was promised to be kept alive, for 75 s.
    expect(performance.now() - read).toBeLessThan(5_000);
  });

  it("answers a request that is on its way, and tells its client not to come back", async () => {
    const { url, server } = await serve();
    await lengthOf(await get(`${url}/healthz`));
    const closed = server.close(20_000);
    // On the connection that was idle when the close began.
    const response = await get(`${url}/healthz`);
    expect([response.statusCode, response.headers.connection]).toEqual([200, "close"]);
    await lengthOf(response);
    await closed;
  });

  it("keeps idle connections longer than proxies do", async () => {
    const { url } = await serve();
    const { headers } = await fetch(`${url}/healthz`);
    // nginx, and the load balancers of clouds, keep theirs for 60 s.
    expect(Number(/timeout=(\d+)/.exec(headers.get("keep-alive") ?? "")?.[1])).toBeGreaterThan(60);
  });

  it("ends idle connections after a moment and takes no more", async () => {
    const { url, port, server } = await serve();
    const idle = net.connect(port, "127.0.0.1");
    await once(idle, "connect");
    await call({ url }, "GET", "/healthz");
    const ended = once(idle.resume(), "end");
    await server.close(20_000);
    await ended;
    idle.destroy();
    const late = net.connect(port, "127.0.0.1");
    await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
  });

  it("gives up after the grace", async () => {
    const { url, server, arrived } = await serveWaiting(Buffer.alloc(0));
    const answer = get(`${url}/graphql`).catch((error: Error) => error.message);
    await arrived;
    await server.close(50);
    expect(await answer).toBe("socket hang up");
  });
});
