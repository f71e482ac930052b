import { startApi, useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask, send } from "../support/graphql.js";

const api = useApi();
const member = useMember(api, { per: "test", seat: "free_beta" });

async function post(
  key: string,
  body: Record<string, unknown>,
  by = member,
): Promise<{ status: number; id?: string; error?: string }> {
  const headers = { ...by.headers, "idempotency-key": key };
  const response = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers, body: JSON.stringify(body) });
  return { ...((await response.json()) as { id?: string; error?: string }), status: response.status };
}

const CREATE = `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }`;
const used = async () =>
  (await ask<{ dailyJobs: { used: number } }>(api, member, `{ viewer { dailyJobs { used } } }`)).dailyJobs.used;

describe("an idempotency key", () => {
  it("returns the first job for the same input, over REST and GraphQL, at no cost of the day", async () => {
    const first = await post("order-1", { jobType: "A", input: { b: 1, a: [2] } });
    const again = await post("order-1", { jobType: "A", input: { a: [2], b: 1 }, priority: 0 });
    const input = { jobType: "A", input: { b: 1, a: [2] }, idempotencyKey: "order-1" };
    const { job } = await ask<{ job: { id: string } }>(api, member, CREATE, { input });
    expect([again.status, again.id, job.id]).toEqual([200, first.id, first.id]);
    expect(await used()).toBe(1);
  });

  it.each([
    ["job type", { jobType: "B", input: {} }],
    ["priority", { jobType: "A", input: {}, priority: 1 }],
    ["input", { jobType: "A", input: { a: null } }],
  ])("refuses another %s", async (_what, body) => {
    await post("k", { jobType: "A", input: {} });
    expect(await post("k", body)).toMatchObject({ status: 409, error: "idempotency_conflict" });
    const { errors } = await send(api, CREATE, { input: { ...body, idempotencyKey: "k" } }, member.headers);
    expect(errors?.[0]?.extensions["code"]).toBe("IDEMPOTENCY_CONFLICT");
    expect(await used()).toBe(1);
  });

  it("makes one job of twenty creates at once", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post("race", { jobType: "A" })));
    expect(new Set(answers.map(({ status, id }) => `${status} ${id}`)).size).toBe(1);
    expect(await used()).toBe(1);
  });

  it("makes one set of jobs of two members' batches that name the same keys in another order", async () => {
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
    const [one, other] = [await api.member(), await api.member()];
    await asSuperuser(
      `insert into tenant_members (tenant_id, user_id, seat) values ('${one.tenantId}', '${other.userId}', 'enterprise')`,
      api.own.superuserUrl,
    );
    const colleague = { ...other, headers: { ...other.headers, "x-tenant-id": one.tenantId } };
    for (let round = 0; round < 3; round += 1) {
      const input = Array.from({ length: 500 }, (_, n) => ({ jobType: "A", idempotencyKey: `${round}-${n}` }));
      const [first, second] = await Promise.all([
        ask<{ jobs: { id: string }[] }>(api, one, many, { input }),
        ask<{ jobs: { id: string }[] }>(api, colleague, many, { input: input.toReversed() }),
      ]);
      expect(second.jobs.toReversed()).toEqual(first.jobs);
    }
  });

  it("says whether the job was found", async () => {
    const one = `mutation ($input: CreateJobInput!) { createJob(input: $input) { replayed job { input } } }`;
    const input = { jobType: "A", input: { b: 1 }, idempotencyKey: "seen" };
    for (const replayed of [false, true]) {
      expect(await ask(api, member, one, { input })).toEqual({ replayed, job: { input: { b: 1 } } });
    }
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { replayed } }`;
    const other = { ...input, idempotencyKey: "unseen" };
    for (const replayed of [false, true]) {
      expect(await ask(api, member, many, { input: [input, other] })).toEqual({ replayed });
    }
  });

  it("gives jobs back with their outputs as far as an answer has room for these", async () => {
    const input = Array.from({ length: 6 }, (_, n) => ({ jobType: "A", idempotencyKey: `large-${n}` }));
    const many = (fields: string) =>
      send(
        api,
        `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { ${fields} } } }`,
        { input },
        member.headers,
      );
    const ids = (await many("id")).data;
    await asSuperuser(
      `update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where tenant_id = '${member.tenantId}';
       update jobs set status = 'completed', output = to_jsonb(repeat('x', 1000000)) where tenant_id = '${member.tenantId}'`,
      api.own.superuserUrl,
    );
    expect((await many("id output")).errors?.[0]?.extensions["code"]).toBe("PAYLOAD_TOO_LARGE");
    expect((await many("id")).data).toEqual(ids);
  });

  it("tells REST where its job has got to, in the old words if these are asked for", async () => {
    const legacy = await startApi({ legacyStatusNames: true }, api.own);
    const create = async () => {
      const headers = { ...member.headers, "idempotency-key": "old" };
      const body = JSON.stringify({ jobType: "A" });
      const response = await fetch(`${legacy.url}/v1/jobs`, { method: "POST", headers, body });
      return (await response.json()) as { id: string; status: string };
    };
    const { id, status } = await create();
    expect(status).toBe("queued");
    await asSuperuser(
      `update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where id = '${id}';
       update jobs set status = 'completed' where id = '${id}'`,
      api.own.superuserUrl,
    );
    expect(await create()).toMatchObject({ id, status: "succeeded" });
  });

  it("returns the job also once the day is used up, and wherever the job has got to", async () => {
    const { id } = await post("early", { jobType: "A" });
    for (let n = 1; n < 10; n += 1) await post(`other-${n}`, { jobType: "A" });
    expect((await post("late", { jobType: "A" })).status).toBe(429);
    await asSuperuser(`update jobs set status = 'canceled' where id = '${id}'`, api.own.superuserUrl);
    expect(await post("early", { jobType: "A" })).toMatchObject({ status: 200, id });
  });

  it("is the tenant's own", async () => {
    const { id } = await post("mine", { jobType: "A" });
    const stranger = await api.member();
    expect((await post("mine", { jobType: "B" }, stranger)).id).not.toBe(id);
  });

  it("works for each of createJobs, and is given once", async () => {
    const many = `mutation ($input: [CreateJobInput!]!) { createJobs(input: $input) { jobs { id } } }`;
    const { id } = await post("one", { jobType: "A" });
    const input = ["one", "two"].map((idempotencyKey) => ({ jobType: "A", idempotencyKey }));
    const { jobs } = await ask<{ jobs: { id: string }[] }>(api, member, many, { input });
    expect([jobs[0]?.id, jobs.length, await used()]).toEqual([id, 2, 2]);
    const { errors } = await send(api, many, { input: [input[0], input[0]] }, member.headers);
    expect(errors?.[0]?.message).toBe("input must not give two jobs the same idempotencyKey");
  });

  it.each([["x".repeat(201)]])("has 1–200 characters", async (key) => {
    expect(await post(key, { jobType: "A" })).toMatchObject({ status: 400, error: "invalid_input" });
  });
});
