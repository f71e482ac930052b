import { once } from "node:events";
import { randomUUID } from "node:crypto";
import net from "node:net";
import { WebSocket } from "ws";
import { startApi, useApi, useMember, tokenOf } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { until } from "../support/until.js";
import { socketOf, watch } from "../support/watch.js";

const api = useApi();
const member = useMember(api);

const open = (options: Record<string, unknown> = {}) => new WebSocket(api.wsUrl, "graphql-transport-ws", options);

/** Connects with these parameters. @returns the close's code and reason, or "acknowledged". */
async function connect(payload: Record<string, unknown> | undefined): Promise<string> {
  const socket = open();
  await once(socket, "open");
  const outcome = Promise.race([
    once(socket, "message").then(([message]) => String(message)),
    once(socket, "close").then(([code, reason]) => `${String(code)} ${String(reason)}`),
  ]);
  socket.send(JSON.stringify({ type: "connection_init", payload }));
  const answer = await outcome;
  socket.terminate();
  return answer.includes("connection_ack") ? "acknowledged" : answer;
}

describe("the socket", () => {
  it("acknowledges a member, header names in any case", async () => {
    const bearer = `Bearer ${member.token}`;
    expect(await connect({ authorization: bearer, "x-tenant-id": member.tenantId })).toBe("acknowledged");
    expect(await connect({ AUTHORIZATION: bearer, "X-Tenant-Id": member.tenantId })).toBe("acknowledged");
    expect(await connect({ headers: { Authorization: bearer, "x-tenant-id": member.tenantId } })).toBe("acknowledged");
  });

  it.each([
    ["no parameters", undefined, "4401 Unauthorized"],
    ["no token", { "x-tenant-id": randomUUID() }, "4401 Unauthorized"],
    ["a bad token", { authorization: "Bearer x", "x-tenant-id": randomUUID() }, "4401 Unauthorized"],
    ["no tenant", { authorization: `Bearer ${tokenOf(randomUUID())}` }, "4400 Name the tenant in x-tenant-id"],
    ["a tenant id that is no UUID", { authorization: `Bearer ${tokenOf(randomUUID())}`, "x-tenant-id": "acme" }, "4400 x-tenant-id must be one UUID"],
    ["two tenants, spelled in two ways", { authorization: `Bearer ${tokenOf(randomUUID())}`, "x-tenant-id": randomUUID(), "X-Tenant-Id": randomUUID() }, "4400 x-tenant-id must be one UUID"],
    ["no membership", { authorization: `Bearer ${tokenOf(randomUUID())}`, "x-tenant-id": randomUUID() }, "4403 Forbidden"],
  ])("closes for %s", async (_what, payload, close) => {
    expect(await connect(payload)).toBe(close);
  }); // prettier-ignore

  it("closes with 4403 when the token expires", async () => {
    const closed = new Promise<{ code: number }>((resolve) => {
      const { client } = watch(api.wsUrl, { ...member, token: tokenOf(member.userId, 1) });
      client.on("closed", (event) => resolve(event as { code: number }));
    });
    expect((await closed).code).toBe(4403);
  });

  it("closes with 4403 for a token that has expired, however long ago", async () => {
    // Also within the tolerance that requests have.
    for (const [secondsAgo, status] of [
      [5, 200],
      [60, 401],
      [86_400, 401],
    ] as const) {
      const params = { authorization: `Bearer ${tokenOf(member.userId, -secondsAgo)}`, "x-tenant-id": member.tenantId };
      expect(await connect(params)).toBe("4403 The token has expired");
      const events = await fetch(`${api.url}/v1/jobs/events`, { headers: params });
      expect([events.status, ((await events.json()) as { message: string }).message]).toEqual([
        401,
        "The bearer token is not valid: it has expired",
      ]);
      expect((await fetch(`${api.url}/v1/jobs/list`, { headers: params })).status).toBe(status);
    }
  });

  it("closes with 4403 within seconds of a membership's removal", async () => {
    const leaver = await api.member();
    const { client } = watch(api.wsUrl, leaver);
    const closed = new Promise<{ code: number }>((resolve) => {
      client.on("closed", (event) => resolve(event as { code: number }));
    });
    await until(() => api.tail.size === 1);
    await asSuperuser(`delete from tenant_members where user_id = '${leaver.userId}'`, api.own.superuserUrl);
    expect((await closed).code).toBe(4403);
  });

  it("refuses another path, another protocol, a foreign origin and a message over 128 KiB", async () => {
    const failure = async (socket: WebSocket) => ((await once(socket, "error")) as [Error])[0].message;
    expect(await failure(new WebSocket(`${api.wsUrl}/other`))).toContain("404");
    expect(await failure(open({ origin: "https://evil.example" }))).toContain("403");
    const same = open({ origin: api.url });
    await once(same, "open");
    same.send("x".repeat(129 * 1024));
    expect(((await once(same, "close")) as [number])[0]).toBe(1009);
    const legacy = new WebSocket(api.wsUrl, "graphql-ws");
    await expect(once(legacy, "open").then(() => once(legacy, "close"))).rejects.toThrow(/subprotocol/i);
  });

  it("closes with 1001 when the service shuts down", async () => {
    const ending = await startApi({}, api.own);
    const watcher = watch(ending.wsUrl, member);
    const closed = new Promise<{ code: number; reason: string }>((resolve) =>
      watcher.client.on("closed", (event) => resolve(event as { code: number; reason: string })),
    );
    await until(() => ending.tail.size === 1);
    await ending.close();
    expect(await closed).toMatchObject({ code: 1001, reason: "Shutting down" });
  });

  it("keeps nothing of clients who leave while they sign in", async () => {
    for (let n = 0; n < 20; n += 1) {
      const socket = open();
      await once(socket, "open");
      const payload = { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId };
      socket.send(JSON.stringify({ type: "connection_init", payload }));
      for (let turn = 0; turn < n; turn += 1) await new Promise(setImmediate);
      socket.terminate();
    }
    expect(await connect({ authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId })).toBe(
      "acknowledged",
    );
    await until(() => api.memberships.size === 0);
  });

  it("closes with 4409 for an id whose operation is not over, and keeps nothing of either", async () => {
    const socket = open();
    await once(socket, "open");
    const say = (message: object) => socket.send(JSON.stringify(message));
    say({
      type: "connection_init",
      payload: { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId },
    });
    await once(socket, "message");
    const payload = { query: "subscription { jobStatusChanged { cursor } }" };
    const closed = once(socket, "close");
    for (let n = 0; n < 10; n += 1) {
      say({ id: "1", type: "subscribe", payload });
      say({ id: "1", type: "complete" });
    }
    expect((await closed)[0]).toBe(4409);
    await until(() => api.tail.size === 0 && api.memberships.size === 0);
  });

  it("takes so many operations at once, and another when one is over", async () => {
    const client = socketOf(api.wsUrl, member);
    const query = "subscription { jobStatusChanged { cursor } }";
    const refusals: unknown[] = [];
    const begin = () =>
      client.subscribe({ query }, { next: () => 0, error: (error) => refusals.push(error), complete: () => 0 });
    const stops = Array.from({ length: 100 }, begin);
    await until(() => api.tail.size === 100);
    begin();
    await until(() => refusals.length === 1);
    expect(refusals[0]).toMatchObject([{ extensions: { code: "RATE_LIMITED" } }]);
    stops[0]?.();
    await until(() => api.tail.size === 99);
    // An operation is over a moment after its stream has ended.
    await until(async () => {
      const refused = refusals.length;
      begin();
      return until(() => api.tail.size === 100 || (refusals.length > refused && "refused")).then(
        (outcome) => outcome === true,
      );
    });
    await client.dispose();
    await until(() => api.tail.size === 0);
  });

  it("takes so many sockets of a user and of a tenant, and another when one is gone", async () => {
    const few = await startApi({ streamsPerUser: 2, streamsPerTenant: 3 }, api.own);
    const colleague = await few.member();
    await asSuperuser(
      `insert into tenant_members (tenant_id, user_id) values ('${member.tenantId}', '${colleague.userId}')`,
      api.own.superuserUrl,
    );
    const closes: unknown[] = [];
    const join = (token: string) => {
      const { client } = watch(few.wsUrl, { ...member, token });
      client.on("closed", (event) => closes.push((event as { code: number }).code));
      return client;
    };
    const first = join(member.token);
    join(member.token);
    await until(() => few.tail.size === 2);
    join(member.token);
    await until(() => closes.length === 1);
    const events = await fetch(`${few.url}/v1/jobs/events`, { headers: member.headers });
    expect([closes, events.status, ((await events.json()) as { error: string }).error]).toEqual([
      [1013],
      429,
      "rate_limit_exceeded",
    ]);
    join(colleague.token);
    await until(() => few.tail.size === 3);
    join(colleague.token);
    await until(() => closes.length === 2);
    await first.dispose();
    await until(() => few.memberships.size === 2);
    join(member.token);
    await until(() => few.tail.size === 3);
  });

  it("takes so many subscriptions of a user, on however many sockets, and another when one is over", async () => {
    const few = await startApi({ streamsPerUser: 2, streamsPerTenant: 10 }, api.own);
    const [one, other] = [socketOf(few.wsUrl, member), socketOf(few.wsUrl, member)];
    const first = watch(few.wsUrl, member, {}, one);
    watch(few.wsUrl, member, {}, other);
    await until(() => few.tail.size === 2);
    const third = watch(few.wsUrl, member, {}, other);
    await until(() => third.errors.length === 1);
    expect(third.errors[0]).toMatchObject({
      message: "A user may have 2 subscriptions on sockets",
      extensions: { code: "RATE_LIMITED" },
    });
    // What is refused is not counted, and what is over no more.
    first.stop();
    await until(() => few.tail.size === 1);
    watch(few.wsUrl, member, {}, other);
    await until(() => few.tail.size === 2);
    await other.dispose();
    await until(() => few.tail.size === 0);
    const again = [1, 2].map(() => watch(few.wsUrl, member, {}, one));
    await until(() => few.tail.size === 2);
    expect(again.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it("is refused while the service shuts down, which lasts no longer for clients that do not answer", async () => {
    const ending = await startApi({}, api.own);
    const upgrade = async () => {
      const socket = net.connect(ending.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(
        "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
      );
      const [answer] = (await once(socket, "data")) as [Buffer];
      // Whoever does not read does not answer a close.
      socket.pause().on("error", () => undefined);
      return String(answer).split("\r\n")[0];
    };
    expect(await upgrade()).toBe("HTTP/1.1 101 Switching Protocols");
    const closed = ending.server.closeSockets();
    expect(await upgrade()).toBe("HTTP/1.1 503 Service Unavailable");
    await closed;
    await ending.close();
  });
});
