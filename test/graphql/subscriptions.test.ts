import { once } from "node:events";
import { WebSocket } from "ws";
import { useApi, useMember } from "../support/api.js";
import { ask } from "../support/graphql.js";
import { until } from "../support/until.js";
import { socketOf, watch } from "../support/watch.js";

const api = useApi();
const member = useMember(api);

/** Counts the transactions that begin from now on. */
function countReads(): () => number {
  const { transaction } = api.database;
  let count = 0;
  api.database.transaction = (...given) => {
    count += 1;
    return transaction.apply(api.database, given) as never;
  };
  return () => {
    api.database.transaction = transaction;
    return count;
  };
}

describe("a subscription over the socket", () => {
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

  it("reads the jobs of a backlog together, and gives its changes in order", async () => {
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`);
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
    const input = Array.from({ length: 300 }, (_, n) => ({ jobType: `N${n}` }));
    const { jobs } = await ask<{ jobs: { id: string }[] }>(api, member, many, { input });
    const reads = countReads();
    const client = socketOf(api.wsUrl, member);
    const query = `subscription { jobStatusChanged(after: "${eventCursor}") { jobId job { id jobType } } }`;
    const seen: { jobId: string; job: { id: string; jobType: string } }[] = [];
    for await (const { data } of client.iterate<{ jobStatusChanged: (typeof seen)[number] }>({ query })) {
      if (data != null) seen.push(data.jobStatusChanged);
      if (seen.length === 300) break;
    }
    expect(new Set(seen.map(({ jobId }) => jobId))).toEqual(new Set(jobs.map(({ id }) => id)));
    expect(seen.every(({ jobId, job }) => job.id === jobId)).toBe(true);
    expect(reads()).toBeLessThan(100);
    await client.dispose();
  });

  it("delivers 1,500 events committed in one tick to a reader, beside a socket that does not read", async () => {
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`);
    const stuck = new WebSocket(api.wsUrl, "graphql-transport-ws");
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
