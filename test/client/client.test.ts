import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { createAtlasClient, type JobStatusChange } from "../../src/client/index.js";
import { startApi, tokenOf } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { own, api, member, client, insert, collect, logged, named } from "./client-rig.js";

describe("enqueue and list", () => {
  it("create jobs and show them", async () => {
    const { job } = await client.enqueue({
      jobType: "A",
      priority: 3,
      input: { a: 1 },
      runAt: new Date(),
      timeoutMs: 5000,
    });
    const page = await client.list({ filter: { jobType: ["A"], status: ["QUEUED"] }, first: 10 });
    expect(page).toMatchObject({ jobs: [job], totalCount: 1, pageInfo: { hasNextPage: false } });
    expect(job).toMatchObject({ jobType: "A", priority: 3, input: { a: 1 }, status: "QUEUED", version: 1 });
  });

  it("make one job of a create whose answers were lost", async () => {
    let lost = 0;
    const losing = createAtlasClient({
      url: api.url,
      tenantId: member.tenantId,
      token: member.token,
      fetch: async (...request) => {
        const response = await fetch(...request);
        if (lost >= 2) return response;
        lost += 1;
        throw new TypeError("the connection was cut");
      },
    });
    const { job } = await losing.enqueue({ jobType: "ONCE" });
    const { jobs } = await client.list({ filter: { jobType: ["ONCE"] } });
    expect([lost, jobs.map(({ id }) => id)]).toEqual([2, [job.id]]);
  });

  it("ask for another token when the service refuses the first", async () => {
    const asked: boolean[] = [];
    const refreshing = createAtlasClient({
      url: `${api.url}/`,
      tenantId: member.tenantId,
      token: ({ refresh }) => {
        asked.push(refresh);
        return refresh ? member.token : "stale";
      },
    });
    await refreshing.list();
    expect(asked).toEqual([false, true]);
  });

  it("tell what the service refuses, and stop when they are told to", async () => {
    await expect(client.enqueue({ jobType: " " })).rejects.toMatchObject({
      name: "AtlasClientError",
      code: "BAD_USER_INPUT",
      extensions: { details: [expect.objectContaining({ path: "input.jobType" })] },
    });
    const stopped = new AbortController();
    const away = createAtlasClient({ url: "http://127.0.0.1:1", tenantId: member.tenantId, token: "x" });
    const asking = away.list({ signal: stopped.signal });
    stopped.abort(new Error("enough"));
    await expect(asking).rejects.toThrow("enough");
  });
});

it.each(["localhost:8787", "ws://localhost", "http://", ""])("does not take %j for an address", (url) => {
  expect(() => createAtlasClient({ url, tenantId: member.tenantId, token: "x" })).toThrow("url must be http(s)://…");
});

describe("watch", () => {
  it("sees what happens after it began, also without a cursor", async () => {
    const changes = client.watch({ filter: { status: ["QUEUED"] } });
    atEnd(() => changes.return?.());
    const first = changes.next();
    await until(() => api.tail.size === 1);
    const { job } = await client.enqueue({ jobType: "A" });
    expect((await first).value).toMatchObject({
      jobId: job.id,
      version: 1,
      previousStatus: null,
      status: "QUEUED",
      job: { jobType: "A" },
    });
  });

  it("answers calls of next that wait together, in order, and all of them at its end", async () => {
    const { eventCursor: after } = await client.list();
    const changes = client.watch({ after, filter: { status: ["QUEUED"] } });
    atEnd(() => changes.return?.());
    const waiting = Array.from({ length: 4 }, () => changes.next());
    const created = [await client.enqueue({ jobType: "A" }), await client.enqueue({ jobType: "B" })];
    const [first, second] = await Promise.all(waiting.slice(0, 2));
    expect([first, second].map((result) => result?.value?.jobId)).toEqual(created.map(({ job }) => job.id));
    await changes.return?.();
    expect((await Promise.all(waiting.slice(2))).map(({ done }) => done)).toEqual([true, true]);
  });

  it("opens no socket once it has ended while it waited for its token", async () => {
    const asked = Promise.withResolvers<void>();
    const token = Promise.withResolvers<string>();
    let sockets = 0;
    class Counted extends WebSocket {
      constructor(...given: ConstructorParameters<typeof WebSocket>) {
        super(...given);
        sockets += 1;
      }
    }
    const slow = () => {
      asked.resolve();
      return token.promise;
    };
    const { tenantId } = member;
    const changes = createAtlasClient({ url: api.url, tenantId, token: slow, webSocketImpl: Counted }).watch({
      after: (await client.list()).eventCursor,
    });
    const first = changes.next();
    await asked.promise;
    await changes.return?.();
    token.resolve(member.token);
    expect((await first).done).toBe(true);
    await setImmediate();
    expect(sockets).toBe(0);
  });

  it("gives the log's own sequence while its sockets are cut again and again", async () => {
    const proxy = await openDatabaseProxy(api.url);
    atEnd(() => proxy.close());
    const cut = createAtlasClient({ url: proxy.url, tenantId: member.tenantId, token: member.token });
    const watched = await collect(cut);
    for (let round = 0; round < 5; round += 1) {
      await insert(200);
      await watched.count(round * 400 + 1);
      proxy.set("away");
      await insert(200);
      proxy.set("there");
    }
    await watched.count(2000);
    expect(named(watched.seen)).toEqual(await logged());
    expect(watched.states.slice(0, 3)).toEqual(["live", "reconnecting", "resumed"]);
  });

  it("goes on when the service comes back, having missed nothing", async () => {
    const { port } = api;
    const watched = await collect(client);
    await insert(10);
    await watched.count(10);
    await api.close();
    await insert(10);
    await startApi({ port }, own);
    await watched.count(20);
    expect(named(watched.seen)).toEqual(await logged());
    expect(watched.states).toEqual(["live", "reconnecting", "resumed"]);
  });

  it("asks for a new token when the old one has expired", async () => {
    const asked: boolean[] = [];
    const expiring = createAtlasClient({
      url: api.url,
      tenantId: member.tenantId,
      token: ({ refresh }) => {
        asked.push(refresh);
        return tokenOf(member.userId, refresh ? 600 : 2);
      },
    });
    const watched = await collect(expiring);
    await until(() => watched.states.includes("resumed"));
    await insert(1);
    await watched.count(1);
    expect(asked).toEqual([false, true]);
  });

  it("goes on when there is no token to be had for a while, and says so when there never was one", async () => {
    const proxy = await openDatabaseProxy(api.url);
    atEnd(() => proxy.close());
    let asked = 0;
    const token = () => {
      asked += 1;
      if (asked === 3) throw new Error("the identity provider is away");
      return member.token;
    };
    const watched = await collect(createAtlasClient({ url: proxy.url, tenantId: member.tenantId, token }), {
      after: (await client.list()).eventCursor,
    });
    proxy.set("away");
    proxy.set("there");
    await until(() => watched.states.includes("resumed"));
    proxy.set("away");
    proxy.set("there");
    await insert(1);
    await watched.count(1);
    expect(asked).toBeGreaterThanOrEqual(4);
    const never = () => Promise.reject(new Error("no such provider"));
    const broken = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: never });
    await expect(broken.watch().next()).rejects.toThrow("no such provider");
  });

  it("gives up when its user is no member any more, after asking again", async () => {
    const watched = await collect(client);
    await asSuperuser(`delete from tenant_members where user_id = '${member.userId}'`, own.superuserUrl);
    await expect(watched.over).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(api.tail.size).toBe(0);
  });

  it("keeps a bounded number of changes for a consumer that pauses, who loses none", async () => {
    const { eventCursor: after } = await client.list({ first: 1 });
    const changes = client.watch({ after });
    atEnd(() => changes.return?.());
    await insert(1);
    const seen = [(await changes.next()).value as JobStatusChange];
    await insert(3500);
    // Full, it has let go of its subscription.
    await until(() => api.tail.size === 0);
    while (seen.length < 3501) seen.push((await changes.next()).value as JobStatusChange);
    expect(named(seen)).toEqual(await logged());
  });

  it("throws for a cursor older than the events kept, with the one to go on from", async () => {
    const { eventCursor } = await client.list();
    await asSuperuser("update installation set pruned_position = 9000000000000000", own.superuserUrl);
    await expect(client.watch({ after: eventCursor }).next()).rejects.toMatchObject({
      code: "CURSOR_EXPIRED",
      extensions: { headCursor: expect.any(String) },
    });
    await expect(client.watch({ after: "nonsense" }).next()).rejects.toMatchObject({ code: "INVALID_CURSOR" });
    await expect(client.watch({ filter: { jobId: ["x"] } }).next()).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
  });

  it("drops what it has given before", async () => {
    const { eventCursor: after } = await client.list({ first: 1 });
    const id = randomUUID();
    const changes = client.watch({ after });
    atEnd(() => changes.return?.());
    await asSuperuser(
      `insert into jobs (tenant_id, id, job_type) values ('${member.tenantId}', '${id}', 'A')`,
      own.superuserUrl,
    );
    const { value } = await changes.next();
    // As a resumption after a cursor of a page gives it again.
    (changes as unknown as { receive(change: unknown): boolean }).receive(value);
    await asSuperuser(`update jobs set status = 'canceled' where id = '${id}'`, own.superuserUrl);
    expect((await changes.next()).value).toMatchObject({ version: 2 });
  });

  it("ends at once when it is told to, also while it waits", async () => {
    const changes = client.watch();
    const waiting = changes.next();
    await until(() => api.tail.size === 1);
    await changes.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const stopped = new AbortController();
    const watched = await collect(client, { signal: stopped.signal });
    stopped.abort();
    await watched.over;
    await until(() => api.tail.size === 0);
  });
});
