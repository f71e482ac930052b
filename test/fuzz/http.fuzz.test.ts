import fc from "fast-check";
import { useApi, useMember } from "../support/api.js";
import { exchange } from "../support/exchange.js";
import { call } from "../rest/call.js";
import { graphqlFault, restFault } from "./documented.js";
import { runs } from "./parameters.js";
import { answersIn, type RawAnswer, rawRequest } from "./raw-requests.js";
import { expectWhole } from "./whole.js";

const api = useApi();
const member = useMember(api);

const get = (target: string, ...headers: string[]): Promise<string> =>
  exchange(
    api.port,
    [`GET ${target} HTTP/1.1`, "Host: a", "Connection: close", ...headers].join("\r\n").concat("\r\n\r\n"),
  );

/** What Node itself refuses, before there is a request that we could name. */
const REFUSALS = new Set([400, 403, 404, 408, 413, 417, 426, 431]);

/** Why an answer is none that is documented; null when it is. */
function faultOf({ status, headers, body }: RawAnswer): string | null {
  if (headers["x-request-id"] === undefined) return REFUSALS.has(status) ? null : `a refusal with ${status}`;
  if (body === "") return status < 500 ? null : `an empty ${status}`;
  if (status === 200 && /^text\/(plain|event-stream)/.test(headers["content-type"] ?? "")) return null;
  if (!headers["content-type"]?.includes("json")) return `${status} with ${headers["content-type"]}`;
  const parsed = JSON.parse(body) as { data?: unknown; errors?: unknown[] };
  if (parsed.data !== undefined || parsed.errors !== undefined) return graphqlFault(parsed.errors);
  return restFault({ status, body: parsed });
}

describe("whatever comes over a connection", () => {
  it("is answered as documented, or the connection ended", async () => {
    const stream = (text: string): boolean => text.includes("text/event-stream");
    await fc.assert(
      fc.asyncProperty(rawRequest(member), async (bytes) => {
        const answers = answersIn(await exchange(api.port, bytes, stream));
        expect(answers.map(faultOf).filter((fault) => fault !== null)).toEqual([]);
      }),
      runs(4),
    );
  });

  it("leaves the API whole", () => expectWhole(api));
});

describe("a request's target", () => {
  it.each(["http://[", "http://", "http://[::1/v1/jobs/list"])("that is no URL is not_found: %s", async (target) => {
    const answer = await get(target);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toMatch(/^X-Request-Id: /m);
    expect(answer).toContain('"error":"not_found"');
  });

  it("may name its host", async () => {
    const headers = [`Authorization: Bearer ${member.token}`, `X-Tenant-Id: ${member.tenantId}`];
    expect(await get("http://a.example/v1/jobs/list?user_id=u", ...headers)).toContain('"user_id":"u"');
  });
});

describe("an offer to upgrade to anything but WebSocket", () => {
  it.each(["h2c", "TLS/1.0", "banana"])("is ignored: %s", async (protocol) => {
    const answer = await get("/healthz", "Connection: Upgrade", `Upgrade: ${protocol}`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a client that goes", () => {
  const request = (target: string): string =>
    [`GET ${target} HTTP/1.1`, "Host: a", `Authorization: Bearer ${member.token}`, `X-Tenant-Id: ${member.tenantId}`]
      .join("\r\n")
      .concat("\r\n\r\n");
  /** What no parser takes ends the connection at once, with what is under way on it. */
  const BREAK = "break\r\n\r\n";

  it("gives its event streams back, begun or not, first on the connection or not", async () => {
    await exchange(api.port, request("/v1/jobs/events") + BREAK);
    await exchange(api.port, request("/v1/jobs/events").repeat(3) + BREAK);
    await exchange(api.port, request("/v1/jobs/events").repeat(3), (text) => text.includes("retry: "));
    await expectWhole(api);
  });

  it("gives its turns back, of every request on the connection", async () => {
    for (const target of ["/v1/jobs/list", "/graphql"]) {
      await exchange(api.port, request(target).repeat(50) + BREAK);
      expect((await call(api, "GET", "/v1/jobs/list", member.headers)).status).toBe(200);
    }
  });
});
