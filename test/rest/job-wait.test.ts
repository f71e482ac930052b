import { randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import type { Config } from "../../src/config.js";
import { headersFor, startApi, type TestApi, type TestMember, tokenOf } from "../support/api.js";
import { asSuperuser, createTestDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import { work } from "../support/worked-jobs.js";
import { type Answer, call, expectError } from "./call.js";

let api: TestApi;
let member: TestMember;
let jobType: string;
const open = async (settings?: Partial<Config>, on?: TestApi["own"]) => {
  api = await startApi(settings, on);
  member = await api.member();
};
beforeEach(() => {
  jobType = randomUUID();
});

const create = async (): Promise<string> =>
  (await call(api, "POST", "/v1/jobs", member.headers, { jobType })).body.id ?? "";
const wait = (id: string, seconds: number | string = 60, headers = member.headers): Promise<Answer> =>
  call(api, "GET", `/v1/jobs/${id}?wait=${seconds}`, headers);
/** So many requests wait in the feed. */
const waiting = (count: number) => until(() => api.tail.size === count, { what: `${count} waiting` });

describe("GET /v1/jobs/:id?wait=", () => {
  beforeEach(() => open());

  it("answers when the job has ended, with its output, and the place in the events that this shows", async () => {
    const id = await create();
    const answer = wait(id);
    await waiting(1);
    await work(api, jobType, { output: { sent: 1 } });
    const { status, headers, body } = await answer;
    expect(status).toBe(200);
    expect(body).toMatchObject({ ok: true, job: { id, status: "completed", output: { sent: 1 }, version: 3 } });
    expect(headers.get("x-event-cursor")).toMatch(/^[\w-]+$/);
    await waiting(0);
    expect(api.memberships.size).toBe(0);
  });

  it("answers at once about a job that has ended", async () => {
    const id = await create();
    await work(api, jobType, { failure: "no" });
    expect((await wait(id)).body.job).toMatchObject({ status: "failed", error: { message: "no" } });
    expect(api.tail.size).toBe(0);
  });

  it("misses no end, whenever it comes", async () => {
    for (let turns = 0; turns < 20; turns += 1) {
      const id = await create();
      const answer = wait(id);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      await work(api, jobType, { output: turns });
      expect((await answer).body.job?.output).toBe(turns);
    }
  });

  it("waits on while the job is tried again, and ends with a cancel", async () => {
    const id = await create();
    await work(api, jobType, { failure: "no" });
    await call(api, "POST", `/v1/jobs/${id}/retry`, member.headers);
    const answer = wait(id);
    await waiting(1);
    await call(api, "POST", `/v1/jobs/${id}/cancel`, member.headers);
    expect((await answer).body.job).toMatchObject({ status: "canceled", version: 5 });
  });

  it("answers with the job as it is when the time is up", async () => {
    const id = await create();
    const startedAt = performance.now();
    expect((await wait(id, 1)).body.job).toMatchObject({ id, status: "queued" });
    expect(performance.now() - startedAt).toBeGreaterThan(990);
    expect((await wait(id, 0)).body.job).toMatchObject({ id, status: "queued" });
  });

  it.each(["61", "100", "-1", "1.5", "1e1", "ten", "", "1&wait=2"])(
    "refuses %s, and says what it may be",
    async (seconds) => {
      const answer = await wait(await create(), seconds);
      expectError(answer, 400, "invalid_input");
      expect(answer.body.details?.map(({ path }) => path)).toEqual(["wait"]);
    },
  );

  it("answers 404 about a job that is deleted meanwhile, that is another tenant's, and that never was", async () => {
    const id = await create();
    const answer = wait(id);
    await waiting(1);
    expectError(await wait(id, 60, (await api.member()).headers), 404, "job_not_found");
    expectError(await wait(randomUUID()), 404, "job_not_found");
    await call(api, "DELETE", `/v1/jobs/${id}`, member.headers);
    expectError(await answer, 404, "job_not_found");
  });

  it("ends when its client leaves", async () => {
    const leaving = new AbortController();
    const url = `${api.url}/v1/jobs/${await create()}?wait=60`;
    const left = fetch(url, { headers: member.headers, signal: leaving.signal }).catch(() => "left");
    await waiting(1);
    leaving.abort();
    expect(await left).toBe("left");
    await until(() => api.tail.size === 0 && api.memberships.size === 0);
  });

  it.each([
    ["the token expires", 401, "invalid_token"],
    ["the membership is removed", 403, "tenant_access_denied"],
  ])("ends when %s", async (_when, status, error) => {
    const id = await create();
    const headers = headersFor(tokenOf(member.userId, status === 401 ? 2 : 600), member.tenantId);
    const answer = wait(id, 60, headers);
    await waiting(1);
    if (status === 403) {
      await asSuperuser(`delete from tenant_members where user_id = '${member.userId}'`, api.own.superuserUrl);
    }
    expectError(await answer, status, error);
    await until(() => api.tail.size === 0);
  });

  it("answers at a shutdown with the job as it is, and holds it up no longer", async () => {
    const id = await create();
    const answer = wait(id);
    await waiting(1);
    await api.server.close(60_000);
    expect((await answer).body.job).toMatchObject({ id, status: "queued" });
  });

  it("is not taken for a connection on which nothing goes on", async () => {
    const requests: IncomingMessage[] = [];
    const note = (message: unknown) => requests.push((message as { request: IncomingMessage }).request);
    subscribe("http.server.request.start", note);
    const id = await create();
    const answer = wait(id);
    await waiting(1);
    unsubscribe("http.server.request.start", note);
    const { socket } = requests.at(-1)!;
    const whileWaitingMs = socket.timeout ?? 0;
    expect(whileWaitingMs).toBeGreaterThan(60_000);
    await work(api, jobType, { output: null });
    expect((await answer).status).toBe(200);
    // As any connection's from then on, which is kept for the next request.
    expect(socket.timeout).toBeLessThan(whileWaitingMs - 30_000);
  });
});

describe("requests that wait", () => {
  it("hold no connection of the database, nor their user's turn", async () => {
    const own = await createTestDatabase(2);
    await open({ databasePoolSize: 2 }, own);
    const id = await create();
    const answers = Array.from({ length: 20 }, () => wait(id));
    await waiting(20);
    expect((await call(api, "GET", "/v1/jobs/list", member.headers)).body.items).toHaveLength(1);
    await work(api, jobType, { output: "done" });
    expect((await Promise.all(answers)).map(({ body }) => body.job?.output)).toEqual(Array.from(answers, () => "done"));
  });

  it("are counted with a user's streams", async () => {
    await open({ streamsPerUser: 2 });
    const id = await create();
    const answers = [wait(id), wait(id)];
    await waiting(2);
    const refused = await wait(id);
    expectError(refused, 429, "rate_limit_exceeded");
    expect(refused.headers.has("retry-after")).toBe(true);
    expect((await wait(id, 0)).status).toBe(200);
    await work(api, jobType, { output: null });
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  });
});
