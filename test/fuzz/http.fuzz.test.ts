import { startApi, type TestApi, type TestMember } from "../support/api.js";
import { exchange } from "../support/exchange.js";

let api: TestApi;
let member: TestMember;

beforeAll(async () => {
  api = await startApi();
  member = await api.member();
});

afterAll(() => api.close());

const get = (target: string, ...headers: string[]): Promise<string> =>
  exchange(
    api.port,
    [`GET ${target} HTTP/1.1`, "Host: a", "Connection: close", ...headers].join("\r\n").concat("\r\n\r\n"),
  );

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
