import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { startApi, type TestApi, type TestMember, tokenOf } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

let api: TestApi;
let member: TestMember;
beforeAll(async () => {
  api = await startApi();
  member = await api.member();
});
afterAll(() => api.close());

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

  it("gives a subscription back when the client completes it", async () => {
    const watcher = watch(api.wsUrl, member);
    await until(() => api.tail.size === 1);
    watcher.stop();
    await until(() => api.tail.size === 0);
    expect(watcher.errors).toEqual([]);
  });

  it("sends the changed job as it is now, and null once it is deleted", async () => {
    const { job, eventCursor } = await ask<{ job: { id: string }; eventCursor: string }>(
      api,
      member,
      `mutation { createJob(input: {jobType: "A"}) { job { id } eventCursor } }`,
    );
    await ask(api, member, `mutation ($id: ID!) { deleteJob(id: $id) { deletedJobId } }`, { id: job.id });
    const watcher = watch(api.wsUrl, member, { after: eventCursor, filter: { jobId: [job.id] } });
    expect((await watcher.count(2)).map(({ status }) => status)).toEqual(["QUEUED", null]);
    await watcher.client.dispose();
    const query = `subscription { jobStatusChanged(after: "${eventCursor}", filter: {jobId: ["${job.id}"]}) { job { id } } }`;
    const again = watch(api.wsUrl, member).client;
    for await (const { data } of again.iterate<{ jobStatusChanged: { job: unknown } }>({ query })) {
      expect(data?.jobStatusChanged.job).toBeNull();
      break;
    }
    await again.dispose();
  });

  it("delivers 1,500 events committed in one tick to a reader, beside a socket that does not read", async () => {
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`);
    const stuck = open();
    await once(stuck, "open");
    stuck.send(
      JSON.stringify({
        type: "connection_init",
        payload: { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId },
      }),
    );
    await once(stuck, "message");
    stuck.send(
      JSON.stringify({ id: "1", type: "subscribe", payload: { query: "subscription { jobStatusChanged { jobId } }" } }),
    );
    const quick = watch(api.wsUrl, member, { after: eventCursor });
    await until(() => api.tail.size === 2);
    stuck.pause();
    const input = Array.from({ length: 750 }, () => ({ jobType: "BURST" }));
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
    await Promise.all([ask(api, member, many, { input }), ask(api, member, many, { input })]);
    expect(new Set((await quick.count(1500)).map(({ jobId }) => jobId)).size).toBe(1500);
    stuck.terminate();
    await quick.client.dispose();
    await until(() => api.tail.size === 0);
  });
});
