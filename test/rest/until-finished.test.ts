import { randomUUID } from "node:crypto";
import { useApi, useMember } from "../support/api.js";
import { type EventReader, readEventStream } from "../support/event-stream.js";
import { until } from "../support/until.js";
import { work } from "../support/worked-jobs.js";
import { call, expectError } from "./call.js";

const api = useApi();
const member = useMember(api, { per: "test" });
let jobType: string;
beforeEach(async () => {
  jobType = randomUUID();
});
afterEach(() => until(() => api.tail.size === 0));

async function create(): Promise<{ id: string; cursor: string }> {
  const { body, headers } = await call(api, "POST", "/v1/jobs", member.headers, { jobType });
  return { id: body.id ?? "", cursor: headers.get("x-event-cursor") ?? "" };
}
const read = (query: string, headers: Record<string, string> = {}) =>
  readEventStream(api, { ...member.headers, ...headers }, `?until=finished&${query}`);
/** What a stream has told, once it has ended: version, status and output of each change, and how it ended. */
async function told(reader: EventReader): Promise<unknown[]> {
  await reader.ended;
  return reader.events.map(({ event, data }) =>
    event === undefined ? [data?.["version"], data?.["status"], data?.["output"]] : [event, data],
  );
}
const END = ["end", { ok: true }];

describe("GET /v1/jobs/events?until=finished", () => {
  it("gives a job's changes from its create on, then its output, and ends", async () => {
    const { id, cursor } = await create();
    const reader = await read(`job_id=${id}&after=${cursor}`);
    await reader.count(1);
    await work(api, jobType, { output: { sent: 1 } });
    expect(await told(reader)).toEqual([
      [1, "queued", undefined],
      [2, "running", undefined],
      [3, "completed", { sent: 1 }],
      END,
    ]);
    expect(reader.lastId()).toBe(reader.events[2]?.id);
  });

  it("gives the same of a job that was over before it began", async () => {
    const { id, cursor } = await create();
    await work(api, jobType, { output: null });
    expect((await told(await read(`job_id=${id}&after=${cursor}`))).slice(-2)).toEqual([[3, "completed", null], END]);
  });

  it("gives the end of a job that was over before it began when asked from now on, and leaves out the id", async () => {
    const { id } = await create();
    await work(api, jobType, { failure: "no" });
    // From now on: once nothing older is open, the job's end is before it.
    const reader = await until(async () => {
      const one = await read(`job_id=${id.toUpperCase()}`);
      await one.ended;
      return one.events[0]?.id === undefined && one;
    });
    expect(reader.events).toEqual([
      {
        data: expect.objectContaining({ version: 3, error: expect.objectContaining({ message: "no" }), output: null }),
        retry: "1000",
      },
      { event: "end", data: { ok: true } },
    ]);
    expect(reader.lastId()).toMatch(/^[\w-]+$/);
  });

  it("ends with the last of several jobs, whether they end or are deleted", async () => {
    const [first, second, third] = [await create(), await create(), await create()];
    const reader = await read(
      [first, second, third].map(({ id }) => `job_id=${id}`).join("&") + `&after=${first.cursor}`,
    );
    await reader.count(3);
    await call(api, "DELETE", `/v1/jobs/${second.id}`, member.headers);
    await call(api, "POST", `/v1/jobs/${first.id}/cancel`, member.headers);
    await reader.count(5);
    await work(api, jobType, { output: 3 });
    expect((await told(reader)).slice(3)).toEqual([
      [2, null, undefined],
      [2, "canceled", null],
      [2, "running", undefined],
      [3, "completed", 3],
      END,
    ]);
  });

  it("does not end with an end that was taken back by a retry", async () => {
    const { id, cursor } = await create();
    await work(api, jobType, { failure: "no" });
    await call(api, "POST", `/v1/jobs/${id}/retry`, member.headers);
    const reader = await read(`job_id=${id}&after=${cursor}`);
    await reader.count(4);
    await work(api, jobType, { output: "at last" });
    expect((await told(reader)).slice(2)).toEqual([
      [3, "failed", undefined],
      [4, "queued", undefined],
      [5, "running", undefined],
      [6, "completed", "at last"],
      END,
    ]);
  });

  it("tells a browser that comes again after the end to stay away", async () => {
    const { id, cursor } = await create();
    await work(api, jobType, { output: null });
    const reader = await read(`job_id=${id}&after=${cursor}`);
    await reader.ended;
    const again = await read(`job_id=${id}`, { "last-event-id": reader.lastId() ?? "" });
    expect([again.response.status, await again.response.text().catch(() => "")]).toEqual([204, ""]);
    await call(api, "DELETE", `/v1/jobs/${id}`, member.headers);
    const deleted = await read(`job_id=${id}`, { "last-event-id": reader.lastId() ?? "" });
    expect(await told(deleted)).toEqual([[4, null, undefined], END]);
  });

  it("refuses jobs that it does not know, another tenant's among them", async () => {
    const { id } = await create();
    const other = await api.member();
    for (const [headers, jobs] of [
      [member.headers, [id, randomUUID()]],
      [other.headers, [id]],
    ] as const) {
      const query = jobs.map((one) => `job_id=${one}`).join("&");
      expectError(await call(api, "GET", `/v1/jobs/events?until=finished&${query}`, headers), 404, "job_not_found");
    }
  });

  it.each([
    ["until=completed&job_id=ID", ["until"]],
    ["until=finished", ["job_id"]],
    ["until=finished&job_id=ID&status=completed&job_type=A", ["job_type", "status"]],
  ])("refuses %s", async (query, paths) => {
    const { id } = await create();
    const answer = await call(api, "GET", `/v1/jobs/events?${query.replace("ID", id)}`, member.headers);
    expectError(answer, 400, "invalid_input");
    expect(answer.body.details?.map(({ path }) => path)).toEqual(paths);
  });
});
