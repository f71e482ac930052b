import { subscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import http from "node:http";
import { readFile } from "node:fs/promises";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import compression from "compression";
import { EventSource } from "eventsource";
import express from "express";
import { WebSocket } from "ws";
import { startApi, type TestApi, type TestMember } from "../support/api.js";
import { type Nginx, nginxIsInstalled, startNginx } from "../support/nginx.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

let api: TestApi;
let member: TestMember;
let nginx: Nginx;

async function create(url: string): Promise<number> {
  const body = JSON.stringify({ jobType: "A" });
  const response = await fetch(`${url}/v1/jobs`, { method: "POST", headers: member.headers, body });
  await response.text();
  return response.status;
}

async function expectEventsAtOnce(url: string): Promise<void> {
  const seen: unknown[] = [];
  const source = new EventSource(`${url}/v1/jobs/events`, {
    fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...member.headers } }),
  });
  source.addEventListener("message", ({ data }) => seen.push(JSON.parse(data as string)));
  await until(() => source.readyState === source.OPEN && api.tail.size === 1);
  for (let n = 1; n <= 3; n += 1) {
    expect(await create(url)).toBe(200);
    await until(() => seen.length === n, { boundMs: 4_000, what: `event ${n}` });
  }
  source.close();
}

it("sends events as they happen through a proxy that compresses what it may", async () => {
  api = await startApi();
  member = await api.member();
  // As development servers of front ends have it.
  const proxy = express()
    .use(compression())
    .use((request, response) => {
      const { method, headers, url } = request;
      request.pipe(
        http.request(`${api.url}${url}`, { method, headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers);
          answer.pipe(response);
        }),
      );
    })
    .listen(0, "127.0.0.1");
  await once(proxy, "listening");
  await expectEventsAtOnce(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  proxy.closeAllConnections();
  proxy.close();
});

(nginxIsInstalled ? describe : describe.skip)("behind nginx", () => {
  beforeEach(async () => {
    api = await startApi({ trustProxy: "loopback" });
    member = await api.member();
  });
  afterEach(() => nginx.close());

  /** nginx before the API, with its defaults but for the lines of the location. */
  const proxy = (location: string, server = ""): Promise<Nginx> =>
    startNginx(`
      upstream api { server 127.0.0.1:${api.port}; keepalive 16; }
      server {
        listen 127.0.0.1:PORT;
        ${server}
        location / { proxy_pass http://api; proxy_http_version 1.1; ${location} }
      }`);

  const createMany = (count: number) => Promise.all(Array.from({ length: count }, () => create(nginx.url)));

  it("keeps its connections for as long as nginx does, and sockets too, as the documentation sets it up", async () => {
    const [, documented = ""] = /```nginx\n([^`]*)```/.exec(await readFile("docs/deploy.md", "utf8")) ?? [];
    nginx = await startNginx(
      documented
        .replace("127.0.0.1:8787", `127.0.0.1:${api.port}`)
        .replace("server {\n", "server {\nlisten 127.0.0.1:PORT;\n"),
    );
    const watcher = watch(`ws://127.0.0.1:${nginx.port}/graphql`, member);
    await until(() => api.tail.size === 1);
    let connections = 0;
    subscribe("net.server.socket", (message) => {
      if ((message as { socket: Socket }).socket.localPort === api.port) connections += 1;
    });
    expect(new Set(await createMany(8))).toEqual(new Set([200]));
    const before = connections;
    await sleep(11_000);
    expect(new Set(await createMany(8))).toEqual(new Set([200]));
    expect(connections).toBe(before);
    await watcher.count(16);
    await watcher.client.dispose();
  });

  it("sends events as they happen, also where they are compressed", async () => {
    nginx = await proxy(`proxy_set_header Connection "";`, "gzip on; gzip_types text/event-stream; gzip_min_length 0;");
    await expectEventsAtOnce(nginx.url);
  });

  it.each([
    ["as nginx has it by default, and the host beside it", "proxy_set_header X-Forwarded-Host $http_host;"],
    ["as the client named it", "proxy_set_header Host $http_host;"],
    ["without its port", "proxy_set_header Host $host;"],
    [
      "without its port, which stands beside it",
      "proxy_set_header Host $host; proxy_set_header X-Forwarded-Port $server_port;",
    ],
    ["with its port, always", "proxy_set_header Host $host:$server_port;"],
  ])("takes a socket of its own origin with the host %s, and no other's", async (_what, headers) => {
    nginx = await proxy(
      `proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
       proxy_set_header X-Forwarded-Proto $scheme; ${headers}`,
    );
    const outcome = (origin: string, host?: string) => {
      const socket = new WebSocket(`ws://127.0.0.1:${nginx.port}/graphql`, "graphql-transport-ws", {
        origin,
        ...(host !== undefined && { headers: { host } }),
      });
      return once(socket, "open")
        .then(
          () => "open",
          (error: Error) => error.message,
        )
        .finally(() => socket.terminate());
    };
    expect(await outcome(nginx.url)).toBe("open");
    expect(await outcome(`http://app.example:${nginx.port}`, `app.example:${nginx.port}`)).toBe("open");
    expect(await outcome("http://evil.example")).toContain("403");
    expect(await outcome(`http://evil.example:${nginx.port}`)).toContain("403");
  });

  it("takes a socket of its own origin where nginx ends TLS, and none of a page without", async () => {
    nginx = await proxy(
      `proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
       proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https;`,
    );
    const open = (origin: string) => {
      const headers = { host: "app.example" };
      return new WebSocket(`ws://127.0.0.1:${nginx.port}/graphql`, "graphql-transport-ws", { origin, headers });
    };
    const own = open("https://app.example");
    await once(own, "open");
    own.terminate();
    const plain = open("http://app.example");
    expect(((await once(plain, "error")) as [Error])[0].message).toContain("403");
  });
});
