import { randomUUID } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { headersFor, useApi, useMember, tokenOf } from "../support/api.js";
import { asSuperuser, SYSTEM, insertJobs } from "../support/database.js";
import { readEventStream } from "../support/event-stream.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { call, expectError } from "./call.js";

const api = useApi({}, { per: "test" });
const member = useMember(api, { per: "test" });

const insert = (count: number, jobType = "A", tenantId = member.tenantId) =>
  insertJobs(api.database, tenantId, count, jobType);
const head = async () =>
  (await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`)).eventCursor;

describe("GET /v1/jobs/events", () => {
  it("streams every status change of the tenant, each with its cursor as id", async () => {
    const reader = await readEventStream(api, member.headers);
    expect(reader.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const { id } = (await call(api, "POST", "/v1/jobs", member.headers, { jobType: "A" })).body;
    await call(api, "POST", `/v1/jobs/${id}/cancel`, member.headers);
    await call(api, "DELETE", `/v1/jobs/${id}`, member.headers);
    const same = { jobId: id, jobType: "A", attempt: 0, error: null, actor: { kind: "user", id: member.userId } };
    const events = await reader.count(3);
    expect(events.map(({ data }) => data)).toEqual([
      { ...same, version: 1, previousStatus: null, status: "queued", occurredAt: expect.any(String) },
      { ...same, version: 2, previousStatus: "queued", status: "canceled", occurredAt: expect.any(String) },
      { ...same, version: 3, previousStatus: "canceled", status: null, occurredAt: expect.any(String) },
    ]);
    expect(new Set(events.map((event) => event.id)).size).toBe(3);
    reader.stop();
  });

  it("resumes after Last-Event-ID, or after the cursor in the query", async () => {
    const after = await head();
    await insert(3);
    const first = await readEventStream(api, member.headers, `?after=${after}`);
    const ids = (await first.count(3)).map(({ id }) => id);
    first.stop();
    const second = await readEventStream(
      api,
      { ...member.headers, "last-event-id": String(ids[0]) },
      `?after=${after}`,
    );
    expect((await second.count(2)).map(({ id }) => id)).toEqual(ids.slice(1));
    second.stop();
  });

  it("says where it begins, so that a reader cut off before its first event misses nothing", async () => {
    const first = await readEventStream(api, member.headers);
    const start = await until(() => first.lastId());
    first.stop();
    await insert(1);
    const second = await readEventStream(api, { ...member.headers, "last-event-id": start });
    await second.count(1);
    second.stop();
  });

  it("takes cursors of GraphQL's, which are the same", async () => {
    await insert(1);
    const { edges } = await until(async () => {
      const page = await ask<{ edges: { cursor: string }[] }>(api, member, `{ jobEvents { edges { cursor } } }`);
      return page.edges.length === 1 && page;
    });
    const reader = await readEventStream(api, member.headers, `?after=${edges[0]!.cursor}`);
    await insert(1, "NEXT");
    expect((await reader.count(1))[0]?.data).toMatchObject({ jobType: "NEXT" });
    reader.stop();
  });

  it("filters by job, job type and status", async () => {
    const reader = await readEventStream(api, member.headers, "?job_type=A&jobType=B&status=queued&status=succeeded");
    await insert(1, "C");
    await insert(1, "B");
    expect((await reader.count(1)).map(({ data }) => data?.["jobType"])).toEqual(["B"]);
    reader.stop();
    for (const query of ["?status=done", "?job_id=1", "?after=a&after=b"]) {
      expectError(await call(api, "GET", `/v1/jobs/events${query}`, member.headers), 400, "invalid_input");
    }
  });

  it("sends no other tenant's events", async () => {
    const other = await api.member();
    const reader = await readEventStream(api, member.headers);
    await insert(5, "THEIRS", other.tenantId);
    await insert(1, "OURS");
    expect((await reader.count(1)).map(({ data }) => data?.["jobType"])).toEqual(["OURS"]);
    reader.stop();
  });

  it("refuses before it streams: no token, no member, a foreign or an expired cursor, another method", async () => {
    const other = await api.member();
    const path = "/v1/jobs/events";
    expectError(await call(api, "GET", path), 401, "missing_bearer_token");
    expectError(
      await call(api, "GET", path, headersFor(tokenOf(randomUUID()), member.tenantId)),
      403,
      "tenant_access_denied",
    );
    const foreign = { ...other.headers, "last-event-id": await head() };
    expectError(await call(api, "GET", path, foreign), 400, "invalid_cursor");
    const old = { ...member.headers, "last-event-id": await head() };
    await asSuperuser("update installation set pruned_position = 9000000000000000", api.own.superuserUrl);
    const expired = await call(api, "GET", path, old);
    expect([expired.status, expired.body]).toEqual([
      410,
      expect.objectContaining({ error: "cursor_expired", headCursor: expect.any(String) }),
    ]);
    expectError(await call(api, "POST", path, member.headers), 405, "method_not_allowed");
    expect(api.tail.size).toBe(0);
  });

  it("answers HEAD without a stream", async () => {
    const response = await fetch(`${api.url}/v1/jobs/events`, { method: "HEAD", headers: member.headers });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    await until(() => api.tail.size === 0);
  });

  it.each([
    ["the token expires", "invalid_token", async () => undefined],
    [
      "the membership is removed",
      "tenant_access_denied",
      (userId: string) => asSuperuser(`delete from tenant_members where user_id = '${userId}'`, api.own.superuserUrl),
    ],
  ])("ends when %s, and says so", async (_when, error, happen) => {
    const expiresIn = error === "invalid_token" ? 2 : 600;
    const reader = await readEventStream(api, headersFor(tokenOf(member.userId, expiresIn), member.tenantId));
    await happen(member.userId);
    await reader.ended;
    expect(reader.events).toEqual([{ event: "end", data: expect.objectContaining({ ok: false, error }) }]);
    expect(api.tail.size).toBe(0);
  });

  it("keeps nothing of readers who leave before it has begun", async () => {
    const { authorization = "", "x-tenant-id": tenant = "" } = member.headers;
    for (let n = 0; n < 20; n += 1) {
      const socket = net.connect(api.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(
        `GET /v1/jobs/events HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nx-tenant-id: ${tenant}\r\n\r\n`,
      );
      for (let turn = 0; turn < n; turn += 1) await new Promise(setImmediate);
      socket.destroy();
    }
    // All of them have been dealt with once one that came later has its answer.
    const reader = await readEventStream(api, member.headers);
    reader.stop();
    await until(() => api.tail.size === 0 && api.memberships.size === 0);
  });

  it("ends at a shutdown, and holds it up no longer", async () => {
    const reader = await readEventStream(api, member.headers);
    await api.server.close(60_000);
    await reader.ended;
    expect(reader.events.map(({ event, data }) => [event, data?.["error"]])).toEqual([["end", "unavailable"]]);
  });

  it("tells a reader that falls behind where to go on, with bounded memory", async () => {
    // 200 MB: far more than the kernel's buffers, which may grow to 37 MB, and the subscriber's queue hold together.
    const total = 5_000;
    await insert(total + 2);
    const update = (set: string, where: string, count: number) =>
      api.database.transaction(SYSTEM, (tx) =>
        tx.query(`update jobs set ${set} where id in (select id from jobs where ${where} limit ${count})`),
      );
    await update("status = 'running', attempt = 1, worker_id = gen_random_uuid()", "status = 'queued'", total + 2);
    const fail = (count: number, messageSize: number) =>
      update(
        `status = 'failed', error = jsonb_build_object('code', 'x', 'message', repeat('~', ${messageSize}), 'attempt', 1, 'occurredAt', now())`,
        "status = 'running'",
        count,
      );
    // A socket that stops reading after the headers.
    const socket = net.connect(api.port, "127.0.0.1");
    await once(socket, "connect");
    const { authorization = "", "x-tenant-id": tenant = "" } = member.headers;
    socket.write(
      `GET /v1/jobs/events?status=failed HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nx-tenant-id: ${tenant}\r\n\r\n`,
    );
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk.replaceAll("~", "")));
    await until(() => text.includes("id: "));
    // The second event comes from the tail: while it reads the log, a reader cannot fall behind.
    for (const lines of [1, 2]) {
      await fail(1, 1);
      await until(() => text.split("data: ").length > lines);
    }
    socket.pause();
    for (let failed = 0; failed < total; failed += 500) await fail(500, 40_000);
    socket.resume();
    await until(() => text.includes("event: end"), { boundMs: 30_000 });
    const end = JSON.parse(/event: end\ndata: (.*)\n/.exec(text)?.[1] ?? "") as Record<string, string>;
    expect(end).toMatchObject({ error: "slow_consumer", lastCursor: expect.any(String) });
    const ids = text.match(/^id: .*$/gm) ?? [];
    expect(ids.at(-1)).toBe(`id: ${end["lastCursor"]}`);
    const resumed = await readEventStream(
      api,
      { ...member.headers, "last-event-id": end["lastCursor"] ?? "" },
      "?status=failed",
    );
    // The first id is the place where the stream begins.
    await resumed.count(total + 2 - (ids.length - 1));
    expect(new Set([...ids.slice(1), ...resumed.events.map(({ id }) => `id: ${id}`)]).size).toBe(total + 2);
    resumed.stop();
    socket.destroy();
  });
});
