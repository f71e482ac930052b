import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Handler } from "../../src/handlers/handler.js";
import { loadHandlers } from "../../src/handlers/load-handlers.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/handlers/", import.meta.url));

let server: Server;
let host: string;
let respond: RequestListener;
let received: { headers: IncomingHttpHeaders; body: string }[];
let post: Handler;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body });
      respond(request, response);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env["WEBHOOK_HOSTS"] = `hooks.example.com, ${host}`;
  post = (await loadHandlers(EXAMPLES, new Set())).get("WEBHOOK_POST")!.handler;
});

afterAll(async () => {
  delete process.env["WEBHOOK_HOSTS"];
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

beforeEach(() => {
  received = [];
  respond = (_, response) => response.end("thanks");
});

describe("WEBHOOK_POST", () => {
  it("posts the payload as JSON under the work's name", async () => {
    const context = contextOf();
    expect(await attemptOf(post, { url: `http://${host}/x`, payload: { n: 1 } }, context)).toEqual({
      status: 200,
      answer: "thanks",
    });
    expect(received).toMatchObject([
      { body: '{"n":1}', headers: { "content-type": "application/json", "idempotency-key": context.workId } },
    ]);
  });

  it("keeps the first 16 KiB of an endless answer", async () => {
    respond = (request, response) => {
      const timer = setInterval(() => response.write("x\0".repeat(8192)), 1);
      response.on("close", () => clearInterval(timer));
      request.on("error", () => {});
    };
    const { answer } = (await attemptOf(post, { url: `http://${host}/` }, contextOf())) as { answer: string };
    expect(answer).toBe("x\uFFFD".repeat(8192));
  });

  it.each([
    [302, true],
    [400, true],
    [404, true],
    [408, undefined],
    [429, undefined],
    [500, undefined],
    [503, undefined],
  ])("reads %i as permanent: %s", async (status, permanent) => {
    respond = (_, response) => response.writeHead(status, { location: "http://169.254.169.254/" }).end("why");
    const failure = await failureOf(attemptOf(post, { url: `http://${host}/` }, contextOf()));
    expect(failure.permanent).toBe(permanent);
    expect(failure.message).toBe(`${host} answered ${status}: why`);
  });

  it.each([
    ["120", 120_000],
    ["Fri, 01 Jan 2100 00:00:00 GMT", 0],
    [undefined, 0],
  ])("comes no sooner than a retry-after of %s asks", async (retryAfter, retryAfterMs) => {
    respond = (_, response) => response.writeHead(429, { ...(retryAfter && { "retry-after": retryAfter }) }).end();
    const failure = await failureOf(attemptOf(post, { url: `http://${host}/` }, contextOf()));
    expect(failure).toMatchObject({ code: "webhook_failed", retryAfterMs });
  });

  it("rejects with the signal's reason while the receiver is silent", async () => {
    const asked = Promise.withResolvers<void>();
    respond = () => asked.resolve();
    const abort = new AbortController();
    const posting = failureOf(attemptOf(post, { url: `http://${host}/` }, contextOf({ signal: abort.signal })));
    await asked.promise;
    const reason = new Error("canceled");
    abort.abort(reason);
    expect(await posting).toBe(reason);
  });

  it.each([
    [undefined, "url must be an http or https URL"],
    ["file:///etc/passwd", "url must be an http or https URL"],
    ["http://user:pass@hooks.example.com/", "url must not contain a user name or password"],
    ["http://169.254.169.254/latest", "url must be of a host that WEBHOOK_HOSTS names, got 169.254.169.254"],
    ["http://hooks.example.com:22/", "url must be of a host that WEBHOOK_HOSTS names, got hooks.example.com:22"],
  ])("refuses %s", async (url, message) => {
    const failure = await failureOf(attemptOf(post, { url: url ?? null }, contextOf()));
    expect(failure).toMatchObject({ permanent: true, code: "invalid_input", message });
    expect(received).toEqual([]);
  });
});
